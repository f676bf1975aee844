"""Which recovery takes its next step, and when: each webhook of each in its turn, one step at a time, with pauses."""

from __future__ import annotations

import heapq
import math
import time
from typing import TYPE_CHECKING

from daemon.operations.logs import get_logger
from daemon.persistence.commands import ForgetRecoveries, RecoveryStep
from daemon.persistence.tickets import Ticket

if TYPE_CHECKING:
    import sqlite3

    from daemon.model import Recovery
    from daemon.persistence.lanes import Lanes
    from daemon.persistence.recovery_changes import RecoveryChanges, Turn
    from daemon.persistence.registry import Registry
    from daemon.persistence.space import FreeSpace

# Whoever publishes meanwhile waits for one step at most, and seldom.
_BETWEEN_STEPS = 0.025
# One that waits for its deliveries to end is looked at again, the more rarely the longer that takes.
_SOON, _LATE = 0.05, 2.0
_BETWEEN_FORGETTING = 600.0
_SHORT_OF_SPACE = 1.0

Lane = tuple[int, int]
"""A recovery and a webhook, by seq; webhook 0: its webhooks are being found."""

_EVENTS = {"running": "recovery.started", "completed": "recovery.completed", "cancelled": "recovery.cancelled"}

log = get_logger()


class RecoveryTurns:
    """Runs in the event loop. Times are `time.monotonic`'s."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._webhooks: dict[int, set[int]] = {}
        self._due: dict[Lane, float] = {}
        self._queue: list[tuple[float, Lane]] = []
        self._pauses: dict[Lane, float] = {}
        self._under_way: Ticket[None] | None = None
        self._next = 0.0
        self._forget_at = time.monotonic() + _BETWEEN_FORGETTING
        lanes = connection.execute("SELECT recovery, webhook FROM recovery_lanes").fetchall()
        finding = connection.execute("SELECT seq, 0 FROM recoveries WHERE next_webhook IS NOT NULL").fetchall()
        for lane in lanes + finding:
            self._put(lane, 0.0)

    @property
    def running(self) -> int:
        """How many recoveries have something left to do."""
        return len(self._webhooks)

    def pause(self, now: float) -> float:
        """How long there is nothing to queue, in seconds."""
        return max(0.0, min(max(self._next, self._first()), self._forget_at) - now)

    def queue(self, now: float, lanes: Lanes, space: FreeSpace) -> None:
        """Put the step that is due, if one is, among the writer's commands; none while the last one is there, or while
        nothing can be published for want of room."""
        if self._under_way is not None and not self._under_way.answered:
            return
        command: RecoveryStep | ForgetRecoveries
        if now >= max(self._next, self._first()):
            if space.shortage() is not None:
                self._next = now + _SHORT_OF_SPACE
                return
            command = RecoveryStep(*self._queue[0][1])
            self._next = now + _BETWEEN_STEPS
        elif now >= self._forget_at:
            self._forget_at = now + _BETWEEN_FORGETTING
            command = ForgetRecoveries()
        else:
            return
        self._under_way = Ticket(command, math.inf)
        lanes.put_internal(self._under_way)

    def committed(self, now: float, changes: RecoveryChanges, registry: Registry) -> None:
        for lane in changes.opened:
            self._put(lane, now)
        for turn in changes.turns:
            self._took(turn, now)
        for recovery in changes.started:
            _tell(_EVENTS["running"], recovery, registry)
        for recovery in changes.ended:
            _tell(_EVENTS[recovery.status], recovery, registry)
            for webhook in self._webhooks.get(recovery.seq, ()):
                self._put((recovery.seq, webhook), now)

    def _took(self, turn: Turn, now: float) -> None:
        lane = turn.recovery, turn.webhook
        if turn.over:
            self._drop(lane)
            return
        pause = 0.0 if turn.busy else min(_LATE, 2 * self._pauses.get(lane, _SOON / 2))
        self._pauses[lane] = pause or _SOON / 2
        self._put(lane, now + pause)

    def _put(self, lane: Lane, due: float) -> None:
        self._webhooks.setdefault(lane[0], set()).add(lane[1])
        self._due[lane] = due
        heapq.heappush(self._queue, (due, lane))

    def _drop(self, lane: Lane) -> None:
        self._due.pop(lane, None)
        self._pauses.pop(lane, None)
        webhooks = self._webhooks.get(lane[0], set())
        webhooks.discard(lane[1])
        if not webhooks:
            self._webhooks.pop(lane[0], None)

    def _first(self) -> float:
        """When the first of all is due."""
        while self._queue and self._due.get(self._queue[0][1]) != self._queue[0][0]:
            heapq.heappop(self._queue)
        return self._queue[0][0] if self._queue else math.inf


def _tell(event: str, recovery: Recovery, registry: Registry) -> None:
    tenant = None if recovery.tenant is None else registry.tenant(recovery.tenant)
    log.info(
        event,
        tenant=tenant and tenant.id,
        recovery=recovery.id,
        webhook=recovery.webhook,
        total=recovery.total,
        redelivered=recovery.redelivered,
        skipped=recovery.skipped,
        succeeded=recovery.succeeded,
        failed=recovery.failed,
        reason=recovery.reason,
    )
