"""Files with many rows in them, written through the daemon's own schema and far faster than through its API."""

from __future__ import annotations

import json
import os
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from daemon.events import SESSION_COMPLETED
from daemon.identifiers import new_webhook_id, now_ms, time_prefix
from daemon.persistence.database import open_writer
from tests.bench.messages import payload

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)"
_EVENTS = f"""{_NUMBERS}
INSERT INTO events (id, tenant, type, created, deliveries, payload)
SELECT 'evt_' || :prefix || printf('%010x%010x', :tenant, i), :tenant, :type, :now, 1, :payload FROM n
"""
_DELIVERIES = f"""{_NUMBERS}
INSERT INTO deliveries (id, event, webhook, tenant, event_type, status, created)
SELECT 'dlv_' || :prefix || printf('%010x%010x', :webhook, i), :event + i - 1, :webhook, :tenant, :type, 'pending', :now
FROM n
"""
_REPORT = json.dumps(
    {
        "timings": {"firstByte": 1.234, "total": 1.234},
        "remote_address": "127.0.0.1:80",
        "reused_connection": True,
        "response_headers": {"server": "nginx", "content-length": "2", "connection": "keep-alive"},
        "response_body": "OK",
    }
)
_HISTORY = f"""{_NUMBERS}
INSERT INTO deliveries (id, event, webhook, tenant, event_type, status, created, started, finished, url, status_code,
    error, report)
SELECT 'dlv_' || :prefix || printf('%010x%010x', :webhook, i), :event + i - 1, :webhook, :tenant, :type,
    iif(i % 100, 'succeeded', 'failed'), :now, :now, :now, :url, iif(i % 100, 200, 500),
    iif(i % 100, NULL, 'http_status'), :report FROM n
"""


class Filler:
    """Each method answers with the seq of what it made."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._now = now_ms()

    def tenant(self, id: str, *, active: bool = True) -> int:
        return self._insert("INSERT INTO tenants (id, active, created) VALUES (?, ?, ?)", id, active, self._now)

    def webhook(self, tenant: int, url: str, *, subscribed: bool = True) -> int:
        """One that is not subscribed takes what waits for it already, and nothing new."""
        seq = self._insert(
            "INSERT INTO webhooks (id, tenant, url, events, active, created, updated) VALUES (?, ?, ?, ?, 1, ?, ?)",
            new_webhook_id(),
            tenant,
            url,
            json.dumps([SESSION_COMPLETED]),
            self._now,
            self._now,
        )
        self._insert("INSERT INTO secrets VALUES (?, ?, NULL, ?)", seq, self._now, secrets.token_bytes(32))
        if subscribed:
            self._insert("INSERT INTO subscriptions VALUES (?, ?, ?)", tenant, SESSION_COMPLETED, seq)
        return seq

    def events(self, tenant: int, count: int) -> int:
        """The seq of the first; the others follow."""
        last = self._db.execute(_EVENTS, {**self._values(tenant, count), "payload": payload().decode()}).lastrowid or 0
        return last - count + 1

    def waiting(self, tenant: int, webhook: int, event: int, count: int) -> None:
        """One pending delivery for each of `count` events, from this one on."""
        self._db.execute(_DELIVERIES, {**self._values(tenant, count), "webhook": webhook, "event": event})

    def history(self, tenant: int, webhook: int, event: int, count: int, url: str) -> None:
        """The same, finished: each hundredth has failed."""
        self._db.execute(
            _HISTORY, {**self._values(tenant, count), "webhook": webhook, "event": event, "url": url, "report": _REPORT}
        )

    def id_of(self, table: Literal["webhooks", "deliveries"], seq: int) -> str:
        return self._db.execute(f"SELECT id FROM {table} WHERE seq = ?", (seq,)).fetchone()[0]

    def _values(self, tenant: int, count: int) -> dict[str, object]:
        prefix = time_prefix(self._now)
        return {"tenant": tenant, "count": count, "prefix": prefix, "type": SESSION_COMPLETED, "now": self._now}

    def _insert(self, statement: str, *values: object) -> int:
        return self._db.execute(statement, values).lastrowid or 0


@contextmanager
def filling(database: Path) -> Iterator[Filler]:
    """A new database, filled in one transaction; on disk as if a daemon had just been stopped. It is written without a
    journal, each page once: what an error leaves is no database."""
    database.parent.mkdir(parents=True, exist_ok=True)
    connection = open_writer(database)
    try:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA cache_size = -262144")
        connection.execute("BEGIN IMMEDIATE")
        yield Filler(connection)
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()
    # What the kernel still has to write would slow down the first commits of whoever opens the file.
    os.sync()
