"""How deliveries ended in the last hour, and at which webhooks they failed: in memory, bounded, from when the process
started. It costs a delivery nothing unless that fails: every minute notes how many had ended until then.
"""

from __future__ import annotations

import heapq
from collections import deque
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Final

import trio
from msgspec import Struct
from msgspec.structs import replace

from daemon.identifiers import now_ms
from daemon.model import ErrorCode

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable

    from daemon.model import Millis

MINUTES: Final = 60
TRACKED: Final = 256
"""Webhooks whose failures are counted in each minute."""

_SECONDS = 60.0
_failed = attrgetter("failed")


class Failing(Struct):
    """A webhook with failed attempts. `margin`: how many more there may have been than `failed`."""

    webhook: str
    tenant: str
    failed: int
    error: ErrorCode
    margin: int = 0

    def after(self, before: Failing | None) -> Failing:
        """A record of these and those `before` them."""
        failed = self.failed + (0 if before is None else before.failed)
        return Failing(self.webhook, self.tenant, failed, self.error)


class LastHour:
    """Sixty minutes, of which the running one is not over yet. `totals` says what has ended so far, by outcome and
    error.

    Each minute counts failures by webhook as Misra and Gries do: with no room for one more webhook, it and every other
    lose one failure. So none that had more than one in 257 of a minute's failures is missing, and each count is short
    by no more than such a part; with at most 256 failing webhooks in a minute all are exact."""

    def __init__(self, totals: Callable[[], Counter[tuple[str, str]]], now: Callable[[], Millis] = now_ms):
        self._totals = totals
        self._now = now
        self._minutes: deque[_Minute] = deque([_Minute(now(), totals())], maxlen=MINUTES)
        self._failing = self._minutes[-1].failing
        # Of all minutes but the running one, added up: whoever asks for the worst holds up the event loop.
        self._before: dict[str, Failing] = {}

    async def run(self) -> None:
        """Begin a minute every minute, until cancelled."""
        while True:
            await trio.sleep(_SECONDS)
            self.turn()

    def turn(self) -> None:
        """A minute is over; the oldest is forgotten."""
        for failing in self._failing.values():
            self._before[failing.webhook] = failing.after(self._before.get(failing.webhook))
        if self.whole:
            self._forget(self._minutes[0])
        self._minutes.append(_Minute(self._now(), self._totals()))
        self._failing = self._minutes[-1].failing

    def failed(self, webhook: str, tenant: str, error: ErrorCode) -> None:
        failing = self._failing.get(webhook)
        if failing is not None:
            failing.failed += 1
            failing.error = error
        elif len(self._failing) < TRACKED:
            self._failing[webhook] = Failing(webhook, tenant, 1, error)
        else:
            self._minutes[-1].make_room()

    @property
    def since(self) -> Millis:
        """What ended before is not known, or an hour ago."""
        return self._minutes[0].began

    @property
    def whole(self) -> bool:
        """Whether all of it is; false in the first hour of the process."""
        return len(self._minutes) == MINUTES

    def ended(self) -> Counter[tuple[str, str]]:
        """How many deliveries ended, by outcome and error; those that nothing ended with are left out."""
        return self._totals() - self._minutes[0].totals

    def worst(self, number: int) -> list[Failing]:
        """The webhooks with the most failed attempts, those first."""
        # One that did not fail in the running minute is among them only if it is among the worst of those before.
        before = heapq.nlargest(number, self._before.values(), key=_failed)
        now = (failing.after(self._before.get(failing.webhook)) for failing in self._failing.values())
        found = {failing.webhook: failing for failing in chain(before, now)}
        margin = sum(minute.lost for minute in self._minutes)
        worst = heapq.nsmallest(number, found.values(), key=lambda failing: (-failing.failed, failing.webhook))
        return [replace(failing, margin=margin) for failing in worst]

    def _forget(self, minute: _Minute) -> None:
        for failing in minute.failing.values():
            rest = self._before[failing.webhook]
            if rest.failed == failing.failed:
                del self._before[failing.webhook]
            else:
                rest.failed -= failing.failed


class _Minute:
    """`totals`: what had ended when it began. `lost`: how much each count is short by, at most."""

    __slots__ = ("began", "failing", "lost", "totals")

    def __init__(self, began: Millis, totals: Counter[tuple[str, str]]) -> None:
        self.began = began
        self.totals = totals
        self.failing: dict[str, Failing] = {}
        self.lost = 0

    def make_room(self) -> None:
        self.lost += 1
        for failing in list(self.failing.values()):
            failing.failed -= 1
            if not failing.failed:
                del self.failing[failing.webhook]
