"""What the writer does between batches, in small steps: checkpoints, sweeps, retention, the deletion of secrets that
have ended, rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from daemon.identifiers import now_ms
from daemon.persistence import signing_secrets, sweeping
from daemon.persistence.checkpoints import Checkpoints
from daemon.persistence.recovery_turns import RecoveryTurns
from daemon.persistence.rest import Rest
from daemon.persistence.retention import Retention

if TYPE_CHECKING:
    import sqlite3

    from daemon.operations.metrics import Metrics
    from daemon.persistence.effects import Effects
    from daemon.persistence.readers import Readers
    from daemon.persistence.registry import Registry
    from daemon.settings import StorageSettings

Step = Callable[[], Callable[[], None]]
"""Run in the writer's thread; what it returns, in the event loop."""

LOOK_SECONDS = 1.0
SECONDS_BETWEEN_EXPIRIES = 60.0
# Small steps with pauses: whoever publishes meanwhile waits for one step at most, and seldom.
_SECONDS_BETWEEN_SWEEPS = 0.025


class Housekeeping:
    """`retention`: what is deleted, and when. `recoveries`: the steps of those, which are commands."""

    def __init__(
        self, connection: sqlite3.Connection, readers: Readers, storage: StorageSettings, metrics: Metrics
    ) -> None:
        self.recoveries = RecoveryTurns(connection)
        self._connection = connection
        self._metrics = metrics
        self._checkpoints = Checkpoints()
        self._rest = Rest(connection, readers)
        self.retention = Retention(connection, storage, metrics)
        self._written_back = False
        self._looked = self._swept = self._expired = 0.0
        self._turn = 0
        webhooks, tenants = sweeping.left_over(connection)
        self._cancelling = set(webhooks)
        self._removing = set(tenants)

    def committed(self, rows: int, effects: Effects, registry: Registry) -> None:
        self._wrote(rows, effects.written)
        self.retention.committed(time.monotonic(), effects.added)
        self._cancelling |= effects.cancelling
        self._removing |= effects.removing
        self.recoveries.committed(time.monotonic(), effects.recoveries, registry)
        sweeping.tell(effects.recoveries.withdrawn, self._metrics)

    def read(self) -> None:
        """A query was asked for."""
        self._rest.disturbed()

    def pause(self, now: float) -> float:
        """How long there is nothing to do, in seconds, if nothing is committed."""
        pause = min(self.retention.pause(now), self.recoveries.pause(now))
        if self._cancelling or self._removing:
            return min(pause, max(0.0, self._swept + _SECONDS_BETWEEN_SWEEPS - now))
        return pause

    def next(self, now: float) -> Step | None:
        """The step to take now, if one is due. A step raises sqlite3.Error, and is then due again.

        A checkpoint goes before all others, which have their turn after it though every commit be worth another."""
        due = self._checkpoints.due
        step = None if due and not self._written_back else self._next_but_a_checkpoint(now)
        self._written_back = due and step is None
        return self._checkpoint if self._written_back else step

    def _next_but_a_checkpoint(self, now: float) -> Step | None:
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            if self._rest.due():
                return self._take_rest
        if now - self._swept >= _SECONDS_BETWEEN_SWEEPS and (sweep := self._sweep()) is not None:
            self._swept = now
            return sweep
        if now - self._expired >= SECONDS_BETWEEN_EXPIRIES:
            self._expired = now
            if not self.retention.doubts_the_clock:
                return self._delete_secrets
        retain = self.retention.next(now)
        return None if retain is None else lambda: self._retain(retain)

    def _sweep(self) -> Step | None:
        """One of those that there is work for, in turn."""
        due: list[Step] = []
        if self._cancelling:
            due.append(partial(self._cancel, next(iter(self._cancelling))))
        if self._removing:
            due.append(partial(self._remove, next(iter(self._removing))))
        self._turn += 1
        return due[self._turn % len(due)] if due else None

    def _checkpoint(self) -> Callable[[], None]:
        self._checkpoints.run(self._connection)
        return lambda: None

    def _wrote(self, rows: float, size: int = 0) -> None:
        self._checkpoints.wrote(rows, size)
        self._rest.disturbed()

    def _delete_secrets(self) -> Callable[[], None]:
        deleted = signing_secrets.delete_expired(self._connection, now_ms())

        def done() -> None:
            if deleted:
                self._wrote(2 * deleted)

        return done

    def _take_rest(self) -> Callable[[], None]:
        self._rest.take()
        return lambda: None

    def _cancel(self, webhook: int) -> Callable[[], None]:
        cancelled = sweeping.cancel(self._connection, webhook, now_ms())

        def done() -> None:
            self._wrote(2 * len(cancelled))
            if not cancelled:
                self._cancelling.discard(webhook)
                return
            sweeping.tell(cancelled, self._metrics)

        return done

    def _remove(self, tenant: int) -> Callable[[], None]:
        more = sweeping.remove(self._connection, tenant)

        def done() -> None:
            self._wrote(sweeping.ROWS)
            if not more:
                self._removing.discard(tenant)

        return done

    def _retain(self, step: Callable[[], Callable[[], int]]) -> Callable[[], None]:
        after = step()

        def done() -> None:
            if changed := after():
                self._wrote(changed)

        return done
