"""TLS costs up to milliseconds at a time, and a receiver can have many connections ask for them at once."""

from __future__ import annotations

from time import perf_counter
from typing import Final

import trio

# Of one turn of the event loop, in seconds. What is begun within it is finished.
_A_TURN: Final = 0.002


class TurnBudget:
    """Shared by all connections: once such work has taken its part of a turn, the rest of it waits for the next."""

    def __init__(self) -> None:
        self._spent = 0.0
        self._waiting = trio.lowlevel.ParkingLot()

    @property
    def used_up(self) -> bool:
        return self._spent > _A_TURN

    def spend(self, since: float) -> None:
        """Work that began at the `perf_counter()` instant `since` has ended."""
        in_time = not self.used_up
        self._spent += perf_counter() - since
        if in_time and self.used_up:
            trio.lowlevel.current_trio_token().run_sync_soon(self._begin_turn)

    async def turn(self) -> None:
        """Returns in a turn with time left for such work; at once, and without a checkpoint, if that is this one."""
        while self.used_up:
            await self._waiting.park()

    def _begin_turn(self) -> None:
        self._spent = 0.0
        self._waiting.unpark_all()
