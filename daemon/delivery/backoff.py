"""How long a tenant's claiming rests when a fault of this machine keeps attempts from beginning (CONTRACT §4)."""

from __future__ import annotations

FIRST = 0.1
LONGEST = 5.0


class Backoff:
    """Pauses of 0.1 s doubling to 5 s; going on without a fault for as long as the last pause starts over.

    Instants are seconds on any one clock."""

    __slots__ = ("_pause", "until")

    def __init__(self) -> None:
        self._pause = 0.0
        self.until = 0.0
        """When the pause ends."""

    def fault(self, now: float) -> None:
        """Something could not begin. Faults during a pause belong to the one that caused it."""
        if now < self.until:
            return
        again = self._pause > 0 and now <= self.until + self._pause
        self._pause = min(2 * self._pause, LONGEST) if again else FIRST
        self.until = now + self._pause
