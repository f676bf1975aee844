"""How fast the writer's thread deletes: steps so small that a publish does not notice one, and not more of them than
the disk can take beside what is written."""

from __future__ import annotations

_SECONDS_BETWEEN = 0.025
_STEP_SECONDS = 0.005
LEAST_ROWS, MOST_ROWS = 16, 256
_TIMES_IN_QUIET = 4  # that long a step may take when nobody waits; it is fsynced then
# What is deleted is written to the WAL, and all of that has to be written back while nobody can commit. So
# while others commit, deleting has a rate of its own, which is slow, and twice the rate at which rows are added.
_ROWS_A_SECOND = 500.0
_TIMES_THE_ADDED = 2
_SAVED = 2.0 * MOST_ROWS
_QUIET_SECONDS = 1.0


class DeletionRate:
    """`rows`: how many a step may look at, so that it takes about 5 ms on this disk, now."""

    def __init__(self) -> None:
        self.rows = MOST_ROWS // 4
        self._allowed = 0.0
        self._at = self._committed_at = float("-inf")

    def committed(self, now: float, added: int) -> None:
        """Others have committed, and added so many rows."""
        self._committed_at = now
        self._allowed = min(_SAVED, self._allowed + _TIMES_THE_ADDED * added)

    def quiet(self, now: float) -> bool:
        """Whether nobody has committed lately."""
        return now - self._committed_at >= _QUIET_SECONDS

    def pause(self, now: float) -> float:
        """How long the next step has to wait, in seconds."""
        rest = self._at + _SECONDS_BETWEEN - now
        if self.quiet(now):
            return max(0.0, rest)
        return max(0.0, rest, self._at - self._allowed / _ROWS_A_SECOND - now)

    def took(self, now: float, limit: int, changed: int, seconds: float, *, full: bool) -> None:
        """A step that might have met `limit` rows (`full`: it did) has changed so many, and taken so long."""
        if self._at > float("-inf"):
            self._allowed = min(_SAVED, self._allowed + (now - self._at) * _ROWS_A_SECOND)
        self._allowed = 0.0 if self.quiet(now) else self._allowed - changed
        self._at = now
        most = _STEP_SECONDS * (_TIMES_IN_QUIET if self.quiet(now) else 1)
        if seconds > most:
            self.rows = max(LEAST_ROWS, limit // 2)
        elif full and seconds < most / 2:
            self.rows = min(MOST_ROWS, limit + LEAST_ROWS)
