"""Waits for a response head that end in time.

Nearly every attempt is one such wait, and a cancel scope for it costs a fifth of the attempt. So they are kept in
buckets by the moment at which they are over, and one task wakes those that are still there then.
"""

from __future__ import annotations

from heapq import heappop, heappush
from math import ceil
from typing import Final, Protocol

import trio

TICKS_A_SECOND: Final = 64
# What hangs together ends together, a thousand attempts at a time: others have their turn in between.
_AT_ONCE: Final = 4


class Waiting(Protocol):
    def expire(self) -> None:
        """The deadline has passed. Called again with each tick until it is forgotten."""
        ...


class Deadlines:
    """While `run` runs, expires what it watches: not before the deadline, and within 32 ms of it; when many end at one
    moment, a few in each turn of the loop, after as many turns as that takes."""

    def __init__(self) -> None:
        self._buckets: dict[int, set[Waiting]] = {}
        # Of the buckets that are not over yet, the next one first.
        self._ticks: list[int] = []
        self._filled = trio.Event()

    @property
    def busy(self) -> bool:
        """Whether `run` has anything to wake up for."""
        return bool(self._buckets)

    def watch(self, waiting: Waiting, deadline: float) -> int:
        """From now on, until `forget` with what this returns. `deadline` on trio's clock."""
        tick = ceil(deadline * TICKS_A_SECOND)
        bucket = self._buckets.get(tick)
        if bucket is None:
            bucket = self._buckets[tick] = set()
            heappush(self._ticks, tick)
            self._filled.set()
        bucket.add(waiting)
        return tick

    def forget(self, waiting: Waiting, tick: int) -> None:
        self._buckets[tick].discard(waiting)

    async def run(self) -> None:
        """Until cancelled; then nothing expires any more."""
        over: list[int] = []
        while True:
            if not self.busy:
                self._filled = trio.Event()
                await self._filled.wait()
            await trio.sleep(1 / TICKS_A_SECOND)
            now = trio.current_time() * TICKS_A_SECOND
            while self._ticks and self._ticks[0] <= now:
                over.append(heappop(self._ticks))
            for tick in over:
                bucket = self._buckets[tick]
                for number, waiting in enumerate(tuple(bucket), 1):
                    if waiting in bucket:
                        waiting.expire()
                    if not number % _AT_ONCE:
                        await trio.lowlevel.checkpoint()
            for tick in [tick for tick in over if not self._buckets[tick]]:
                over.remove(tick)
                del self._buckets[tick]
