"""A wall clock, a steady one and the monotonic one, all in the test's hand; and retention driven by them, step by step,
without a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.operations.metrics import Metrics
from daemon.persistence.retention import Clocks, Retention
from daemon.settings import StorageSettings

if TYPE_CHECKING:
    import sqlite3

SECOND, HOUR, DAY = 1000, 3_600_000, 86_400_000
BEGAN = 1_800_000_000_000


class Clockwork:
    """Times in ms."""

    def __init__(self) -> None:
        self.wall = BEGAN
        self.steady = 5 * SECOND

    def advance(self, by: int) -> None:
        self.wall += by
        self.steady += by

    def jump(self, by: int) -> None:
        self.wall += by

    def __call__(self) -> Clocks:
        return Clocks(self.wall, self.steady)


class Keeper:
    """Retention of one database, as a daemon has it from a start on."""

    def __init__(
        self,
        db: sqlite3.Connection,
        clock: Clockwork,
        *,
        days: float = 30,
        max_bytes: int = 0,
        metrics: Metrics | None = None,
    ) -> None:
        self._clock = clock
        self.retention = Retention(
            db, StorageSettings(retention_days=days, max_bytes=max_bytes), metrics or Metrics(), clock
        )
        self.changed: list[int] = []
        """By each of the steps so far."""

    def run(self, seconds: float = 5) -> None:
        """Take every step that becomes due in so many seconds."""
        end = self._clock.steady + seconds * SECOND
        while self._clock.steady < end:
            now = self._clock.steady / SECOND
            step = self.retention.next(now)
            if step is not None:
                self.changed.append(step()())
            self._clock.advance(max(1, round(self.retention.pause(now) * SECOND)))
