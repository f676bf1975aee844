"""Which recovery takes its next step, and when: one step at a time, with pauses, of each tenant in its turn.

A lane whose deliveries are under way takes no steps until some of them end; only one that waits for its tenant's
backlog to become shorter is looked at again and again. A lane counts for the tenant whose webhook it is for, also that
of an operator's recovery; finding the webhooks of those has turns of its own.
"""

from __future__ import annotations

import heapq
import math
import time
from typing import TYPE_CHECKING

from daemon.operations.logs import get_logger
from daemon.persistence.commands import ForgetRecoveries, RecoveryStep
from daemon.persistence.recovery_changes import Lane
from daemon.persistence.rotation import Rotation
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
# One that waits for room is looked at again, the more rarely the longer that takes.
_SOON, _LATE = 0.05, 2.0
# Those go after the ones that have something to do, but for one step in so many.
_FOR_LATER = 4
_BETWEEN_FORGETTING = 600.0
_SHORT_OF_SPACE = 1.0

_EVENTS = {"running": "recovery.started", "completed": "recovery.completed", "cancelled": "recovery.cancelled"}

_LANES = """
SELECT l.recovery, l.webhook, w.tenant FROM recovery_lanes l JOIN webhooks w ON w.seq = l.webhook
UNION ALL SELECT seq, 0, tenant FROM recoveries WHERE next_webhook IS NOT NULL
"""

log = get_logger()


class RecoveryTurns:
    """Runs in the event loop. Times are `time.monotonic`'s."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._owners: dict[Lane, int | None] = {}
        self._webhooks: dict[int, set[int]] = {}
        self._ready, self._again = Rotation[Lane](), Rotation[Lane]()
        self._later: list[tuple[float, Lane]] = []
        self._due: dict[Lane, float] = {}
        self._pauses: dict[Lane, float] = {}
        self._under_way: Ticket[None] | None = None
        self._steps = 0
        self._next = 0.0
        self._forget_at = time.monotonic() + _BETWEEN_FORGETTING
        self._forgotten = 0
        for recovery, webhook, tenant in connection.execute(_LANES).fetchall():
            self._open(Lane(recovery, webhook), tenant)

    @property
    def running(self) -> int:
        """How many recoveries have something left to do."""
        return len(self._webhooks)

    def pause(self, now: float) -> float:
        """How long there is nothing to queue, in seconds."""
        return max(0.0, min(max(self._next, self._first(now)), self._forget_at) - now)

    def queue(self, now: float, lanes: Lanes, space: FreeSpace) -> None:
        """Put the step that is due, if one is, among the writer's commands; none while the last one is there, or while
        nothing can be published for want of room."""
        if self._under_way is not None and not self._under_way.answered:
            return
        command: RecoveryStep | ForgetRecoveries
        if now >= max(self._next, self._first(now)):
            if space.shortage() is not None:
                self._next = now + _SHORT_OF_SPACE
                return
            command = RecoveryStep(*self._turn(now))
            self._next = now + _BETWEEN_STEPS
        elif now >= self._forget_at:
            self._forget_at = now + _BETWEEN_FORGETTING
            command = ForgetRecoveries(self._forgotten)
        else:
            return
        self._under_way = Ticket(command, math.inf)
        lanes.put_internal(self._under_way)

    def committed(self, now: float, changes: RecoveryChanges, registry: Registry) -> None:
        for lane, tenant in changes.opened.items():
            self._open(lane, tenant)
        for turn in changes.turns:
            self._took(turn, now)
        for lane in changes.woken:
            self._wake(lane)
        if changes.woken_tenants:
            for lane in [lane for lane, tenant in self._owners.items() if tenant in changes.woken_tenants]:
                self._wake(lane)
        if changes.looked_through is not None:
            self._forgotten = changes.looked_through
        for recovery in changes.started:
            _tell(_EVENTS["running"], recovery, registry)
        for recovery in changes.ended:
            _tell(_EVENTS[recovery.status], recovery, registry)
            for webhook in self._webhooks.get(recovery.seq, ()):
                self._wake(Lane(recovery.seq, webhook))

    def _open(self, lane: Lane, tenant: int | None) -> None:
        self._owners[lane] = tenant
        self._webhooks.setdefault(lane.recovery, set()).add(lane.webhook)
        self._wake(lane)

    def _took(self, turn: Turn, now: float) -> None:
        lane = turn.lane
        self._rest(lane)
        if turn.next == "over":
            self._drop(lane)
        elif turn.next == "later":
            self._pauses[lane] = pause = min(_LATE, 2 * self._pauses.get(lane, _SOON / 2))
            self._due[lane] = now + pause
            heapq.heappush(self._later, (now + pause, lane))
        else:
            self._pauses.pop(lane, None)
            if turn.next == "now":
                self._wake(lane)

    def _wake(self, lane: Lane) -> None:
        """There is something to do; the lane may be gone."""
        if lane in self._owners:
            self._due.pop(lane, None)
            self._again.discard(self._owners[lane], lane)
            self._ready.put(self._owners[lane], lane)

    def _rest(self, lane: Lane) -> None:
        self._due.pop(lane, None)
        for rotation in (self._ready, self._again):
            rotation.discard(self._owners.get(lane), lane)

    def _drop(self, lane: Lane) -> None:
        self._owners.pop(lane, None)
        self._pauses.pop(lane, None)
        webhooks = self._webhooks.get(lane.recovery, set())
        webhooks.discard(lane.webhook)
        if not webhooks:
            self._webhooks.pop(lane.recovery, None)

    def _turn(self, now: float) -> Lane:
        """The lane whose turn it is: one is due. It stays there until its step has been taken."""
        while self._later and self._later[0][0] <= now:
            due, lane = heapq.heappop(self._later)
            if self._due.get(lane) == due:
                del self._due[lane]
                self._again.put(self._owners[lane], lane)
        self._steps += 1
        again = self._again and (not self._ready or self._steps % _FOR_LATER == 0)
        return (self._again if again else self._ready).turn()

    def _first(self, now: float) -> float:
        """When the first of all is due."""
        if self._ready or self._again:
            return now
        while self._later and self._due.get(self._later[0][1]) != self._later[0][0]:
            heapq.heappop(self._later)
        return self._later[0][0] if self._later else math.inf


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
