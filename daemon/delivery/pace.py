"""Spaces the beginnings of slow attempts: a thousand that ended at one moment need not begin again in one. Pure."""

from __future__ import annotations

from math import inf

from daemon.delivery.beat import BEAT

SPREAD = 0.85
"""The gap between two beginnings, as a part of the one that would keep every slot just busy."""
TOLERANCE = BEAT + 0.02
"""Seconds by which beginnings that come late, waiting for a beat or behind a commit, may catch up with the schedule; or
two gaps."""

_WEIGHT = 1 / 64
_LEAST_GAP = 1e-9
# What is new must not wait long for its turn just because little else is slow.
_LEAST_PART = 4
_LEAST_WINDOW = 1.0


class Pace:
    """Virtual scheduling (GCRA, ITU-T I.371) of what all tenants' actors begin at webhooks that are not prompt.

    By Little's law as many slots as slow attempts hold, for D seconds on average, come free that many / D times a
    second. Somewhat more may begin: it is not the pace that leaves a slot idle for long. D follows the attempts that
    ended, each counting the same; until a slow one did there is no gap. How many slots they hold is the most of the
    last D to 2 D seconds, since all may have ended at one moment; a quarter of all `slots` at least.
    Instants are seconds on any one clock."""

    __slots__ = ("_before", "_held", "_least", "_mean", "_most", "_next", "_since")

    def __init__(self, slots: int) -> None:
        self._least = max(1, slots // _LEAST_PART)
        self._held = self._most = self._before = 0
        self._mean = 0.0
        self._next = self._since = -inf

    @property
    def gap(self) -> float:
        """Seconds between two beginnings."""
        return max(self._mean * SPREAD / max(self._least, self._most, self._before), _LEAST_GAP)

    @property
    def tolerance(self) -> float:
        """Seconds by which beginnings may catch up. With wide gaps one turn a step would leave slots idle."""
        return max(TOLERANCE, 2 * self.gap)

    def held(self, change: int, now: float) -> None:
        """So many more slow attempts hold their slots."""
        self._roll(now)
        self._held += change
        self._most = max(self._most, self._held)

    def ended(self, seconds: float) -> None:
        """An attempt at a webhook that is not prompt took so long."""
        self._mean += (seconds - self._mean) * _WEIGHT

    def turn(self, now: float, count: int = 1) -> float:
        """Reserve the next turn, or that of several beginnings. Returns when it is due; that may be over."""
        self._roll(now)
        due = max(self._next, now - self.tolerance)
        self._next = due + count * self.gap
        return due

    def ready(self, now: float) -> int:
        """How many turns would be due now if they were reserved."""
        late = min(now - self._next, self.tolerance)
        return int(late / self.gap) + 1 if late >= 0 else 0

    def _roll(self, now: float) -> None:
        window = max(self._mean, _LEAST_WINDOW)
        if now - self._since >= window:
            self._before = self._most if now - self._since < 2 * window else self._held
            self._most, self._since = self._held, now
