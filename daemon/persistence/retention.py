"""How long events are kept: `storage.retention_days`, and `storage.max_bytes`.

Two walks in the order of the events, a few rows a step. The first goes on from where it stopped, which is at the first
event that is too young, and passes by what waits or was redelivered lately; the second goes over what was passed by,
again from time to time. Nothing of this is stored: after a start the first walk meets what was passed by at once.
While the file is too large the same walks delete what has finished, however young, the oldest first.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from daemon.identifiers import now_ms
from daemon.instants import rfc3339
from daemon.operations.logs import get_logger
from daemon.persistence import deletion
from daemon.persistence.deletion import Deleted, Size
from daemon.persistence.deletion_rate import DeletionRate
from daemon.persistence.expiry import ANY_AGE, KEPT_FOR_ITS_KEY, Findings, Place, Rule, judge
from daemon.persistence.steadiness import Steadiness

if TYPE_CHECKING:
    import sqlite3

    from daemon.model import Millis
    from daemon.operations.metrics import Metrics
    from daemon.settings import StorageSettings

_LOOK_SECONDS = 1.0
_TOLD_SECONDS = 60.0
_DAY = 86_400_000
_LAST = (1 << 63) - 1
# The second walk: as rarely as its lateness allows, and the rarer the more steps it takes.
_AGAIN_SECONDS, _AGAIN_TOO_LARGE_SECONDS = 86_400.0, 60.0
_AGAIN_SECONDS_A_STEP = 0.25
# Below this part of max_bytes it is no longer too large; free pages that are kept for what comes next.
_ENOUGH = 0.95
_SLACK_PAGES = 1000

log = get_logger()


class Clocks(NamedTuple):
    """The wall clock, and one that nobody sets and that goes on while the machine sleeps, in ms."""

    wall: Millis
    steady: Millis


def clocks() -> Clocks:
    return Clocks(now_ms(), time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000)


class Done(NamedTuple):
    """What a step has come to. `changed`: about how many rows it has written; `full`: it met as many as it might."""

    deleted: Deleted = Deleted(0, 0)
    changed: int = 0
    full: bool = False


Work = Callable[[int], Callable[[], Done]]
"""Run in the writer's thread with the number of rows it may meet; what it returns, in the event loop."""


class Retention:
    """`next` and what its steps return run in the event loop, the steps in the writer's thread. Times without a unit in
    their name are `time.monotonic`'s. `paused`: why nothing is deleted by age just now; None if nothing keeps it."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        storage: StorageSettings,
        metrics: Metrics,
        clocks: Callable[[], Clocks] = clocks,
    ) -> None:
        self._connection = connection
        self._kept = round(storage.retention_days * _DAY)
        self._max_bytes = storage.max_bytes
        self._metrics = metrics
        self._clocks = clocks
        began = clocks()
        self._wall = began.wall
        self._clock = Steadiness(self._kept or _DAY, deletion.newest(connection), *began)
        self._rate = DeletionRate()
        self._looked = float("-inf")
        self._size = Size(0, 0, 1)
        self._too_large = self._warned = False
        self._hidden = deletion.hidden(connection)
        self._front, self._front_due, self._front_ended = Place(), 0, False
        self._again: Place | None = None
        self._again_last = -1
        self._again_steps, self._again_due, self._again_soonest = 0, 0.0, 0.0
        self._passed_by = False
        self.paused: str | None = None
        self._deleted, self._deleting_since, self._told = Deleted(0, 0), 0.0, float("-inf")
        if self._clock.doubted and self._kept:
            self._tell_doubt()

    @property
    def doubts_the_clock(self) -> bool:
        """Whether it has jumped: nothing is deleted by it then."""
        return self._clock.doubted

    def committed(self, now: float, added: int) -> None:
        """Others have committed, and added so many rows: deleting keeps up with that."""
        self._rate.committed(now, added)

    def pause(self, now: float) -> float:
        """How long there is nothing to do, in seconds."""
        until_look = max(0.0, self._looked + _LOOK_SECONDS - now)
        return min(until_look, self._rate.pause(now)) if self._more() else until_look

    def next(self, now: float) -> Callable[[], Callable[[], int]] | None:
        """The step to take now, if one is due; what the step returns answers about how many rows it has changed.

        A step raises sqlite3.Error; whatever it has done by then, it may be taken again."""
        rested, look = not self._rate.pause(now), now - self._looked >= _LOOK_SECONDS
        if not (look or (rested and self._more())):
            return None
        self._read_clocks()
        if look:
            self._looked = now
            self._look(now)
        work = self._work(now) if rested else None
        limit = self._rate.rows

        def step() -> Callable[[], int]:
            started = time.perf_counter()
            done = work(limit) if work else Done
            size = deletion.size(self._connection)
            seconds = time.perf_counter() - started

            def after() -> int:
                result = done()
                self._size = size
                self._judge_size()
                if work:
                    self._rate.took(now, limit, result.changed, seconds, full=result.full)
                self._count(result.deleted, now)
                return result.changed

            return after

        return step

    def _more(self) -> bool:
        """Whether there is more to do than to look."""
        return self._hidden is not None or self._walks() or self._size.free > _SLACK_PAGES

    def _walks(self) -> bool:
        front = not self._front_ended and self._wall >= self._front_due
        return (front or self._again is not None) and (self._too_large or self._by_age())

    def _by_age(self) -> bool:
        return bool(self._kept) and not self._clock.doubted

    def _read_clocks(self) -> None:
        """Once for all that a step decides: a jump is noticed before anything is deleted by it."""
        clocks = self._clocks()
        self._wall = clocks.wall
        changed = self._clock.look(*clocks)
        if changed and self._kept:
            if changed == "jumped":
                self._tell_doubt()
            else:
                self.paused = None
                log.info("retention.resumed")

    def _look(self, now: float) -> None:
        if self._too_large and self._front_ended and self._again is None:
            self._warn_once()
        # All of a short burst in one line, a long one minute by minute.
        burst = now - self._deleting_since >= _TOLD_SECONDS or not self._more()
        if burst and self._deleted != (0, 0) and now - self._told >= _TOLD_SECONDS:
            log.info("retention.deleted", events=self._deleted.events, deliveries=self._deleted.deliveries)
            self._deleted, self._told = Deleted(0, 0), now
        self._front_ended = False
        if self._again is None and self._passed_by and now >= self._again_due:
            self._again, self._again_last, self._again_steps = Place(), self._front.event - 1, 0
            self._passed_by = False

    def _work(self, now: float) -> Work | None:
        if self._hidden is not None:
            return self._sweep(self._hidden, self._rate.quiet(now))
        if self._walks():
            return self._walk(now)
        return self._give_back(self._rate.quiet(now)) if self._size.free > _SLACK_PAGES else None

    def _sweep(self, event: int, synced: bool) -> Work:
        def work(limit: int) -> Callable[[], Done]:
            deleted = deletion.sweep_hidden(self._connection, event, limit, synced=synced)
            full = deleted.deliveries == limit

            def done() -> Done:
                self._hidden = event if full else None
                return Done(deleted, deleted.deliveries, full)

            return done

        return work

    def _give_back(self, synced: bool) -> Work:
        free = self._size.free - _SLACK_PAGES

        def work(limit: int) -> Callable[[], Done]:
            pages = min(limit, free)
            deletion.give_back(self._connection, pages, synced=synced)
            # Each is written once more where it goes to, and so is a page that points to it.
            return lambda: Done(changed=2 * pages, full=pages == limit)

        return work

    def _walk(self, now: float) -> Work:
        again, wall = self._again, self._wall
        place, last = (self._front, _LAST) if again is None else (again, self._again_last)
        horizon = ANY_AGE if self._too_large else wall - self._kept
        rule = Rule(wall, horizon, -1 if self._clock.doubted else wall - KEPT_FOR_ITS_KEY)
        synced = self._rate.quiet(now)

        def work(limit: int) -> Callable[[], Done]:
            lines = deletion.window(self._connection, place, last, limit)
            full = len(lines) == limit
            found = judge(lines, place, rule, cut=full)
            deleted = Deleted(0, 0)
            if found.expired:
                deleted = deletion.delete(self._connection, found.expired, synced=synced)
            elif found.large is not None:  # it is the first, if there is one
                deleted = deletion.hide(self._connection, found.large, synced=synced)
            hidden = deletion.hidden(self._connection)  # maybe since this step was tried before

            def done() -> Done:
                self._hidden = hidden
                self._passed_by |= found.kept
                ended = found.young is not None or not (full or found.large)
                if again is None:
                    self._went_on(found, ended)
                else:
                    self._went_again(found, ended, now)
                return Done(deleted, sum(deleted), full)

            return done

        return work

    def _went_on(self, found: Findings, ended: bool) -> None:
        self._front, self._front_ended = found.place, ended
        if found.young is not None:
            self._front_due = found.young + self._kept

    def _went_again(self, found: Findings, ended: bool, now: float) -> None:
        self._again = None if ended else found.place
        self._again_steps += 1
        if ended:
            self._passed_by |= found.young is not None
            rest = _AGAIN_SECONDS_A_STEP * self._again_steps
            self._again_soonest = now + max(_AGAIN_TOO_LARGE_SECONDS, rest)
            self._again_due = now + max(min(_AGAIN_SECONDS, self._kept / 10_000), rest)

    def _judge_size(self) -> None:
        used = self._size.used
        if self._too_large:
            self._too_large = used > _ENOUGH * self._max_bytes
            self._warned &= self._too_large
        elif self._max_bytes and used > self._max_bytes:
            self._too_large = True
            self._front_due, self._front_ended = 0, False
        if self._too_large:
            self._again_due = min(self._again_due, self._again_soonest)

    def _warn_once(self) -> None:
        if self._warned:
            return
        self._warned = True
        log.warning(
            "retention.stuck",
            used_bytes=self._size.used,
            max_bytes=self._max_bytes,
            reason="What waits, or is kept a day for its idempotency key, takes more than storage.max_bytes: that is "
            "not deleted. See why deliveries wait, or raise storage.max_bytes.",
        )

    def _count(self, deleted: Deleted, now: float) -> None:
        if deleted == (0, 0):
            return
        self._metrics.deleted(*deleted)
        if self._deleted == (0, 0):
            self._deleting_since = now
        self._deleted = self._deleted.plus(deleted)

    def _tell_doubt(self) -> None:
        until = self._wall + self._clock.patience
        self.paused = (
            "The clock has jumped: nothing is deleted by age. If it is wrong, set it right; if it is right, "
            f"deleting goes on by itself at {rfc3339(until, digits=0)}."
        )
        log.warning("retention.paused", jump_seconds=round(self._clock.jump / 1000), reason=self.paused)
