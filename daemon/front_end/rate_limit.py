"""How many requests a second one token may make: each has a bucket that fills steadily. Pure.

The headers are those of draft-ietf-httpapi-ratelimit-headers-10."""

from __future__ import annotations

from collections import OrderedDict
from math import ceil
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from daemon.settings import Limits

_KNOWN: Final = 65_536
_POLICY: Final = "token"


class Decision(NamedTuple):
    """Whether a request may pass, how many more may right after it, and in how many seconds one more than that."""

    allowed: bool
    burst: int
    window: int
    remaining: int
    seconds: int

    def headers(self) -> dict[str, str]:
        fields = {
            "RateLimit-Policy": f'"{_POLICY}";q={self.burst};w={self.window}',
            "RateLimit": f'"{_POLICY}";r={self.remaining};t={self.seconds}',
        }
        return fields if self.allowed else {"Retry-After": str(self.seconds), **fields}


class RateLimit:
    """GCRA (ITU-T I.371): what is kept of a token is the instant at which its bucket is full again. A full one is
    forgotten, so only those are known that asked lately; of more than there is room for, the ones that did least
    lately start anew. Instants are seconds on any one clock that never goes back."""

    def __init__(self, room: int = _KNOWN) -> None:
        self._room = room
        self._rate = 0.0
        self._burst = 0
        self._full: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        """How many tokens are known."""
        return len(self._full)

    def decide(self, token: str, limits: Limits, now: float) -> Decision | None:
        """Count one request. None if there is no limit; with another one than before everybody starts anew."""
        rate, burst = limits.requests_per_second, limits.request_burst
        if (rate, burst) != (self._rate, self._burst):
            self._rate, self._burst = rate, burst
            self._full.clear()
        if not rate:
            return None
        gap = 1 / rate
        full = max(self._full.get(token, now), now) + gap
        # Of what is left of a request the clock's rounding must not make a refusal.
        room = now + burst * gap - full + gap * 1e-6
        if allowed := room >= 0:
            self._full[token] = full
            self._full.move_to_end(token)
            self._forget(now)
        remaining = int(room / gap) if allowed else 0
        until_one_more = (remaining + 1) * gap - room if allowed else -room
        return Decision(allowed, burst, max(1, ceil(burst * gap)), remaining, max(1, ceil(until_one_more)))

    def _forget(self, now: float) -> None:
        """Of two that are idle by now at most, so that it never takes long."""
        for _ in range(2):
            token, full = next(iter(self._full.items()))
            if full > now and len(self._full) <= self._room:
                return
            del self._full[token]
            if not self._full:
                return
