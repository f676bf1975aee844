"""What the writer does between batches, in small steps: checkpoints, sweeps, the age of the oldest that waits, rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from daemon.identifiers import now_ms
from daemon.operations.logs import get_logger
from daemon.persistence import sweeping
from daemon.persistence.checkpoints import Checkpoints
from daemon.persistence.rest import Rest

if TYPE_CHECKING:
    import sqlite3

    from daemon.operations.metrics import Metrics
    from daemon.persistence.effects import Effects
    from daemon.persistence.readers import Readers

Step = Callable[[], Callable[[], None]]
"""Run in the writer's thread; what it returns, in the event loop."""

LOOK_SECONDS = 1.0
# Small steps with pauses: whoever publishes meanwhile waits for one step at most, and seldom.
_SECONDS_BETWEEN_SWEEPS = 0.025
_OLDEST = """
SELECT json_group_array(json_array(tenant, oldest)) FROM (
    SELECT w.tenant, min(d.created) AS oldest FROM json_each(?) j JOIN webhooks w ON w.seq = j.value
    JOIN deliveries d ON d.seq = (
        SELECT q.seq FROM deliveries q WHERE q.finished IS NULL AND q.status = 'pending'
        AND q.webhook = w.seq AND q.seq > w.cancelled_through ORDER BY q.seq LIMIT 1)
    GROUP BY w.tenant)
"""
_oldest = msgspec.json.Decoder(list[tuple[int, int]])

log = get_logger()


class Housekeeping:
    """`oldest`: when each tenant's oldest waiting delivery was created (ms), as of the last look."""

    def __init__(self, connection: sqlite3.Connection, readers: Readers, metrics: Metrics) -> None:
        self.oldest: dict[int, int] = {}
        self._connection = connection
        self._metrics = metrics
        self._checkpoints = Checkpoints()
        self._rest = Rest(connection, readers)
        self._looked = self._swept = 0.0
        webhooks, tenants = sweeping.left_over(connection)
        self._cancelling = set(webhooks)
        self._removing = set(tenants)

    def committed(self, rows: int, effects: Effects) -> None:
        self._wrote(rows, effects.written)
        self._cancelling |= effects.cancelling
        self._removing |= effects.removing

    def read(self) -> None:
        """A query was asked for."""
        self._rest.disturbed()

    def pause(self, now: float) -> float:
        """How long there is nothing to do, in seconds, if nothing is committed."""
        if self._cancelling or self._removing:
            return max(0.0, self._swept + _SECONDS_BETWEEN_SWEEPS - now)
        return LOOK_SECONDS

    def next(self, now: float, waiting: Callable[[], list[int]]) -> Step | None:
        """The step to take now, if one is due.

        `waiting`: the webhooks with a backlog.
        A step raises sqlite3.Error, and is then due again."""
        if self._checkpoints.due:
            return self._checkpoint
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            webhooks, rest = waiting(), self._rest.due()
            return lambda: self._look(webhooks, rest=rest)
        if now - self._swept < _SECONDS_BETWEEN_SWEEPS:
            return None
        if self._cancelling:
            self._swept = now
            webhook = next(iter(self._cancelling))
            return lambda: self._cancel(webhook)
        if self._removing:
            self._swept = now
            tenant = next(iter(self._removing))
            return lambda: self._remove(tenant)
        return None

    def _checkpoint(self) -> Callable[[], None]:
        self._checkpoints.run(self._connection)
        return lambda: None

    def _wrote(self, rows: float, size: int = 0) -> None:
        self._checkpoints.wrote(rows, size)
        self._rest.disturbed()

    def _look(self, webhooks: list[int], *, rest: bool) -> Callable[[], None]:
        oldest: dict[int, int] = {}
        if webhooks:
            (found,) = self._connection.execute(_OLDEST, (msgspec.json.encode(webhooks).decode(),)).fetchone()
            oldest = dict(_oldest.decode(found))
        if rest:
            self._rest.take()

        def done() -> None:
            self.oldest = oldest

        return done

    def _cancel(self, webhook: int) -> Callable[[], None]:
        cancelled = sweeping.cancel(self._connection, webhook, now_ms())

        def done() -> None:
            self._wrote(2 * len(cancelled))
            if not cancelled:
                self._cancelling.discard(webhook)
                return
            self._metrics.cancelled(len(cancelled), cancelled[0].tenant)
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
            self._wrote(sweeping.ROWS)
            if not more:
                self._removing.discard(tenant)

        return done
