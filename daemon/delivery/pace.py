"""Spaces the beginnings of slow attempts: a thousand that ended at one moment need not begin again in one. Pure."""

from __future__ import annotations

from math import inf

SPREAD = 0.85
"""The gap between two beginnings, as a part of the one that would keep every slot just busy."""
TOLERANCE = 0.02
"""Seconds by which beginnings that come late, behind a commit say, may catch up with the schedule."""

_WEIGHT = 1 / 64
_LEAST_GAP = 1e-9


class Pace:
    """Virtual scheduling (GCRA, ITU-T I.371) of what all tenants' actors begin at webhooks that are not prompt.

    By Little's law `slots` that are held for D seconds on average come free `slots` / D times a second. Somewhat more
    may begin, and slow webhooks seldom hold more than three quarters of the slots: it is not the pace that leaves one
    idle for long. D follows the attempts that ended, each counting the same; until a slow one did there is no gap.
    Instants are seconds on any one clock."""

    __slots__ = ("_mean", "_next", "_slots")

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._mean = 0.0
        self._next = -inf

    @property
    def gap(self) -> float:
        """Seconds between two beginnings."""
        return max(self._mean * SPREAD / self._slots, _LEAST_GAP)

    def ended(self, seconds: float) -> None:
        """An attempt at a webhook that is not prompt took so long."""
        self._mean += (seconds - self._mean) * _WEIGHT

    def turn(self, now: float, count: int = 1) -> float:
        """Reserve the next turn, or that of several beginnings. Returns when it is due; that may be over."""
        due = max(self._next, now - TOLERANCE)
        self._next = due + count * self.gap
        return due

    def ready(self, now: float) -> int:
        """How many turns would be due now if they were reserved."""
        late = min(now - self._next, TOLERANCE)
        return int(late / self.gap) + 1 if late >= 0 else 0
