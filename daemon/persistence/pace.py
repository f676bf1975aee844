"""How fast the writer's thread deletes: steps so small that a publish does not notice one, and not more of them than
the disk can take beside what is written."""

from __future__ import annotations

_SECONDS_BETWEEN = 0.025
_STEP_SECONDS = 0.005
LEAST_ROWS, MOST_ROWS = 16, 256
# What is deleted is written to the WAL, and every 16 MB of that have to be written back while nobody can commit. So
# deleting has a rate of its own, which is slow, and twice the rate of what is committed.
_ROWS_A_SECOND = 1000.0
_TIMES_THE_COMMITTED = 2
_SAVED = 2.0 * MOST_ROWS


class Pace:
    """`rows`: how many a step may look at, so that it takes about 5 ms on this disk, now."""

    def __init__(self) -> None:
        self.rows = MOST_ROWS // 4
        self._allowed = 0.0
        self._at = float("-inf")

    def earned(self, committed: int) -> None:
        """So many rows were written by others."""
        self._allowed = min(_SAVED, self._allowed + _TIMES_THE_COMMITTED * committed)

    def pause(self, now: float) -> float:
        """How long the next step has to wait, in seconds."""
        return max(0.0, self._at + _SECONDS_BETWEEN - now, self._at - self._allowed / _ROWS_A_SECOND - now)

    def took(self, now: float, limit: int, changed: int, seconds: float, *, full: bool) -> None:
        """A step that might have met `limit` rows (`full`: it did) has changed so many, and taken so long."""
        if self._at > float("-inf"):
            self._allowed = min(_SAVED, self._allowed + (now - self._at) * _ROWS_A_SECOND)
        self._allowed -= changed
        self._at = now
        if seconds > _STEP_SECONDS:
            self.rows = max(LEAST_ROWS, limit // 2)
        elif full and seconds < _STEP_SECONDS / 2:
            self.rows = min(MOST_ROWS, limit + LEAST_ROWS)
