"""Events and deliveries written as rows, at whatever time a test says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.identifiers import new_delivery_id, new_event_id, new_webhook_id

if TYPE_CHECKING:
    import sqlite3


class History:
    """One tenant with one webhook; each method is one transaction. Names are seqs, times ms."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.tenant = self._insert("INSERT INTO tenants (id, active, created) VALUES ('acme', 1, 1)")
        self.webhook = self._insert(
            """INSERT INTO webhooks (id, tenant, url, events, active, created, updated)
               VALUES (?, ?, 'https://example.com/', '[]', 1, 1, 1)""",
            new_webhook_id(),
            self.tenant,
        )

    def event(self, at: int, *, key: str | None = None, size: int = 10) -> int:
        return self._insert(
            """INSERT INTO events (id, tenant, type, created, deliveries, idempotency_key, fingerprint, payload)
               VALUES (?, ?, 'onboard.session.completed', ?, 0, ?, ?, ?)""",
            new_event_id(at),
            self.tenant,
            at,
            key,
            key and "f",
            "x" * size,
        )

    def delivery(self, event: int, at: int, *, finished: int | None = None, status: str = "pending") -> int:
        return self._insert(
            """INSERT INTO deliveries (id, event, webhook, tenant, event_type, status, created, finished)
               VALUES (?, ?, ?, ?, 'onboard.session.completed', ?, ?, ?)""",
            new_delivery_id(at),
            event,
            self.webhook,
            self.tenant,
            status if finished is None else "succeeded",
            at,
            finished,
        )

    def finish(self, delivery: int, at: int) -> None:
        self.db.execute("UPDATE deliveries SET status = 'succeeded', finished = ? WHERE seq = ?", (at, delivery))

    def many(self, events: int, at: int, *, deliveries: int = 1) -> None:
        """So many events, each with so many deliveries, all finished at that time."""
        self.db.execute("BEGIN")
        self.db.execute(
            """WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
               INSERT INTO events (id, tenant, type, created, deliveries, payload)
               SELECT 'evt_' || lower(hex(randomblob(16))), ?, 'onboard.session.completed', ?, ?, printf('%.300c', 'x')
               FROM n""",
            (events, self.tenant, at, deliveries),
        )
        self.db.execute(
            """WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
               INSERT INTO deliveries (id, event, webhook, tenant, event_type, status, created, started, finished)
               SELECT 'dlv_' || lower(hex(randomblob(16))), e.seq, ?2, ?3, e.type, 'succeeded', ?4, ?4, ?4
               FROM (SELECT seq, type FROM events ORDER BY seq DESC LIMIT ?5) e, n WHERE ?1 ORDER BY e.seq""",
            (deliveries, self.webhook, self.tenant, at, events),
        )
        self.db.execute("COMMIT")

    def events(self) -> set[int]:
        return self.events_of(self.db)

    @staticmethod
    def events_of(db: sqlite3.Connection) -> set[int]:
        return {seq for (seq,) in db.execute("SELECT seq FROM events")}

    def orphans(self) -> int:
        """Deliveries whose event is gone."""
        return self.db.execute(
            "SELECT count(*) FROM deliveries WHERE event NOT IN (SELECT seq FROM events)"
        ).fetchone()[0]

    def _insert(self, statement: str, *values: object) -> int:
        return self.db.execute(statement, values).lastrowid or 0
