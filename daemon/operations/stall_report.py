"""Which stalls of the event loop are told, and what is told of them. Pure: whoever watches says what it sees, and when.

A turn of the loop runs each task that is ready once; one that takes long is a stall. Times are seconds of one
monotonic clock; a turn is named by the time at which it began.
"""

from __future__ import annotations

from collections import Counter

from msgspec import Struct

LONGEST_TURN = 0.1
"""Seconds; a turn that takes longer is a stall."""

_BETWEEN_LINES = 1.0
_UNENDED = 1.0
_SAMPLES = 20  # a loop that is stuck for good is not looked at for ever


class Sample(Struct, frozen=True):
    """What the loop did at one moment of a turn."""

    task: str
    stack: str


class Stall(Struct, frozen=True):
    """The longest since the last one that was told; `count` of them there were. `tasks` were seen in it: if there is
    but one, that one blocked the loop, else `task` is the one that was seen most often. None is accused of one in which
    the whole process was `paused` most of the time: that was the machine."""

    seconds: float
    paused: float
    ended: bool
    count: int
    tasks: int
    task: str | None
    stack: str | None


class _Seen:
    """What was seen of one turn."""

    def __init__(self, turn: float) -> None:
        self.turn = turn
        self.samples: list[Sample] = []
        self.paused = 0.0


class StallReport:
    """At most one stall a second is told; one that has not ended after a second is told then, and again at its end."""

    def __init__(self) -> None:
        self._now = _Seen(0.0)
        self._longest = (0.0, self._now)
        self._count = 0
        self._told_at = float("-inf")
        self._told_turn: float | None = None

    def curious(self, turn: float) -> bool:
        """Whether one more sample of this turn would help."""
        return len(self._of(turn).samples) < _SAMPLES

    def seen(self, turn: float, sample: Sample) -> None:
        self._of(turn).samples.append(sample)

    def paused(self, turn: float, seconds: float) -> None:
        """So long the process did not run at all, while the loop was in this turn."""
        self._of(turn).paused += seconds

    def ended(self, turn: float, seconds: float) -> None:
        """A turn took that long; to be said before anything is of a later turn."""
        self._count += 1
        if seconds > self._longest[0]:
            self._longest = (seconds, self._of(turn))

    def due(self, now: float, turn: float | None) -> Stall | None:
        """What is to be told at once; None of `turn` means that the loop waits for something to do."""
        if now - self._told_at < _BETWEEN_LINES:
            return None
        if self._count:
            stall = _stall(*self._longest, self._count, ended=True)
            self._longest, self._count = (0.0, self._now), 0
        elif turn is not None and turn != self._told_turn and now - turn > _UNENDED:
            stall = _stall(now - turn, self._of(turn), 1, ended=False)
            self._told_turn = turn
        else:
            return None
        self._told_at = now
        return stall

    def _of(self, turn: float) -> _Seen:
        if turn != self._now.turn:
            self._now = _Seen(turn)
        return self._now


def _stall(seconds: float, seen: _Seen, count: int, *, ended: bool) -> Stall:
    tasks = Counter(sample.task for sample in seen.samples)
    if not tasks or seen.paused > seconds / 2:
        return Stall(seconds, seen.paused, ended, count, 0, None, None)
    ((task, _),) = tasks.most_common(1)
    stack = [sample.stack for sample in seen.samples if sample.task == task][-1]
    return Stall(seconds, seen.paused, ended, count, len(tasks), task, stack)
