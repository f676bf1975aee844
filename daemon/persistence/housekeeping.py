"""What the writer does between batches, in small steps: checkpoints, sweeps, retention, and the age of the oldest that
waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from daemon.identifiers import now_ms
from daemon.operations.logs import get_logger
from daemon.persistence import sweeping
from daemon.persistence.checkpoints import Checkpoints
from daemon.persistence.retention import Retention

if TYPE_CHECKING:
    import sqlite3

    from daemon.operations.metrics import Metrics
    from daemon.persistence.effects import Effects
    from daemon.settings import StorageSettings

Step = Callable[[], Callable[[], None]]
"""Run in the writer's thread; what it returns, in the event loop."""

LOOK_SECONDS = 1.0
# Small steps with pauses: whoever publishes meanwhile waits for one step at most, and seldom.
_SECONDS_BETWEEN_SWEEPS = 0.025
_OLDEST = """
SELECT min(d.created) FROM json_each(?) j JOIN deliveries d ON d.seq = (
    SELECT q.seq FROM deliveries q JOIN webhooks w ON w.seq = q.webhook
    WHERE q.finished IS NULL AND q.status = 'pending'
    AND q.webhook = j.value AND q.seq > w.cancelled_through ORDER BY q.seq LIMIT 1)
"""

log = get_logger()


class Housekeeping:
    """`oldest`: when the oldest waiting delivery was created (ms), as of the last look, or None."""

    def __init__(self, connection: sqlite3.Connection, storage: StorageSettings, metrics: Metrics) -> None:
        self.oldest: int | None = None
        self._connection = connection
        self._metrics = metrics
        self._checkpoints = Checkpoints()
        self._retention = Retention(connection, storage, metrics)
        self._looked = self._swept = 0.0
        webhooks, tenants = sweeping.left_over(connection)
        self._cancelling = set(webhooks)
        self._removing = set(tenants)

    def committed(self, rows: int, effects: Effects) -> None:
        self._checkpoints.wrote(rows, effects.written)
        self._retention.committed(time.monotonic(), effects.added)
        self._cancelling |= effects.cancelling
        self._removing |= effects.removing

    def pause(self, now: float) -> float:
        """How long there is nothing to do, in seconds, if nothing is committed."""
        pause = self._retention.pause(now)
        if self._cancelling or self._removing:
            return min(pause, max(0.0, self._swept + _SECONDS_BETWEEN_SWEEPS - now))
        return pause

    def next(self, now: float, waiting: Callable[[], list[int]]) -> Step | None:
        """The step to take now, if one is due.

        `waiting`: the webhooks with a backlog.
        A step raises sqlite3.Error, and is then due again."""
        if self._checkpoints.due:
            return self._checkpoint
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            webhooks = waiting()
            return lambda: self._look(webhooks)
        if now - self._swept >= _SECONDS_BETWEEN_SWEEPS:
            if self._cancelling:
                self._swept = now
                webhook = next(iter(self._cancelling))
                return lambda: self._cancel(webhook)
            if self._removing:
                self._swept = now
                tenant = next(iter(self._removing))
                return lambda: self._remove(tenant)
        retain = self._retention.next(now)
        return None if retain is None else lambda: self._retain(retain)

    def _checkpoint(self) -> Callable[[], None]:
        self._checkpoints.run(self._connection)
        return lambda: None

    def _look(self, webhooks: list[int]) -> Callable[[], None]:
        oldest: int | None = None
        if webhooks:
            (oldest,) = self._connection.execute(_OLDEST, (msgspec.json.encode(webhooks).decode(),)).fetchone()

        def done() -> None:
            self.oldest = oldest

        return done

    def _cancel(self, webhook: int) -> Callable[[], None]:
        cancelled = sweeping.cancel(self._connection, webhook, now_ms())

        def done() -> None:
            self._checkpoints.wrote(2 * len(cancelled))
            if not cancelled:
                self._cancelling.discard(webhook)
                return
            self._metrics.cancelled(len(cancelled))
            for row in cancelled:
                log.info(
                    "delivery.cancelled",
                    tenant=row.tenant,
                    webhook=row.webhook,
                    delivery=row.id,
                    event_id=row.event,
                    event_type=row.event_type,
                    status="cancelled",
                )

        return done

    def _remove(self, tenant: int) -> Callable[[], None]:
        more = sweeping.remove(self._connection, tenant)

        def done() -> None:
            self._checkpoints.wrote(sweeping.ROWS)
            if not more:
                self._removing.discard(tenant)

        return done

    def _retain(self, step: Callable[[], Callable[[], int]]) -> Callable[[], None]:
        after = step()
        return lambda: self._checkpoints.wrote(after())
