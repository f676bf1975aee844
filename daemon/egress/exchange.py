"""One attempt as the transport sees it: what it is told, and what it fills in as it goes."""

from __future__ import annotations

from time import perf_counter
from typing import Literal

from msgspec import Struct, field

Phase = Literal["resolve", "connect", "tls", "send", "head", "body"]


class Exchange(Struct):
    """Passed as `request.extensions["exchange"]`, one for each request, never used twice.

    Told: `key`: connections are shared only among exchanges of one key (a webhook's seq); `tenant`: whose policy and
    look-up share apply; `deadline`: on trio's clock, the end of the whole attempt.
    Filled in, also when the attempt fails or is cancelled: phase durations in milliseconds, None for a phase that did
    not happen (`first_byte` and `total` count from the attempt's start); `remote_address` as `host:port`, never one
    that was blocked; `reused`: over a kept connection; `wrote`: a byte of the request may have left;
    `status`: of the final head, 0 until it is read; `truncated`: the response's body was longer than what was kept, or
    was not read to its end; `phase`: what was going on last. `started` is its own: `time.perf_counter()` at the start.
    """

    key: int
    tenant: str
    deadline: float
    dns: float | None = None
    connect: float | None = None
    tls: float | None = None
    first_byte: float | None = None
    total: float | None = None
    remote_address: str | None = None
    reused: bool = False
    wrote: bool = False
    truncated: bool = False
    status: int = 0
    phase: Phase = "resolve"
    started: float = field(default_factory=perf_counter)

    def elapsed(self, since: float | None = None) -> float:
        """Milliseconds, to the microsecond, since the start, or since the `perf_counter()` instant `since`."""
        # Whole microseconds and then a division: `round` costs twice as much, and there are two of these a delivery.
        return int((perf_counter() - (self.started if since is None else since)) * 1e6) / 1000
