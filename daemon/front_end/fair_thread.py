"""One thread for work that would hold everybody up on the event loop, shared fairly between tenants."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import trio

from daemon.front_end.shares import Turns

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class FairThread:
    """A piece of work at a time, one of each tenant in turn. A second thread would do no more: only one runs Python,
    and the event loop would wait for both."""

    def __init__(self) -> None:
        self._thread = trio.CapacityLimiter(1)
        self._turns = Turns(1)

    async def run(self, tenant: int | None, work: Callable[[], T]) -> T:
        """What `work` returns or raises; for `tenant`, None: an operator. Cancellation leaves nothing running: it
        waits for work that has begun."""
        async with self._turns.of(tenant):
            return await trio.to_thread.run_sync(work, limiter=self._thread)
