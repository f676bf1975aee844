"""The tables, made and changed by migrations that sqlite-utils carries out. `user_version` counts those applied.

`seq` columns are commit order: they order lists and queues, and AUTOINCREMENT never gives one out twice, which the
high-water mark of a deactivation (`webhooks.cancelled_through`) depends on. `subscriptions` holds active webhooks only,
so that fan-out is one join. A delivery is in the queue while `finished` is null; its
`report` is the JSON of a `rows.Report`: what no query asks for costs one value to write, not seven. `fan_outs` has the
deliveries that are promised but not made yet (`fan_out.py`), `clock_steps` where `created` may go back
(`clock_steps.py`); `recovery_lanes` how far each webhook of a recovery has got, `recovery_deliveries` what a recovery
has made and not counted yet (`recovery_steps.py`).
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from sqlite_utils import Database

from daemon.persistence.recovery_tables import RECOVERIES
from daemon.persistence.transaction import transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

_FIRST = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID;
CREATE TABLE tenants (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, name TEXT, active INTEGER NOT NULL,
    created INTEGER NOT NULL, removed INTEGER NOT NULL DEFAULT 0);
CREATE UNIQUE INDEX tenants_id ON tenants (id) WHERE removed = 0;
CREATE TABLE tokens (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, tenant INTEGER NOT NULL, name TEXT,
    permissions TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER, digest BLOB NOT NULL UNIQUE);
CREATE INDEX tokens_tenant ON tokens (tenant, seq);
CREATE TABLE webhooks (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, tenant INTEGER NOT NULL, url TEXT NOT NULL,
    name TEXT, events TEXT NOT NULL, active INTEGER NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT NULL,
    last_delivered INTEGER, delivery_attempts INTEGER NOT NULL DEFAULT 0, last_delivery TEXT,
    cancelled_through INTEGER NOT NULL DEFAULT 0);
CREATE INDEX webhooks_tenant ON webhooks (tenant, seq);
CREATE TABLE secrets (
    webhook INTEGER NOT NULL, created INTEGER NOT NULL, expires INTEGER, key BLOB NOT NULL,
    PRIMARY KEY (webhook, created)) WITHOUT ROWID;
CREATE TABLE subscriptions (
    tenant INTEGER NOT NULL, event_type TEXT NOT NULL, webhook INTEGER NOT NULL,
    PRIMARY KEY (tenant, event_type, webhook)) WITHOUT ROWID;
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, tenant INTEGER NOT NULL, type TEXT NOT NULL,
    created INTEGER NOT NULL, deliveries INTEGER NOT NULL, idempotency_key TEXT, fingerprint TEXT,
    payload TEXT NOT NULL);
CREATE INDEX events_tenant ON events (tenant, seq);
CREATE UNIQUE INDEX events_key ON events (tenant, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE TABLE deliveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, event INTEGER NOT NULL, webhook INTEGER NOT NULL,
    tenant INTEGER NOT NULL, event_type TEXT NOT NULL, status TEXT NOT NULL, created INTEGER NOT NULL, started INTEGER,
    finished INTEGER, redelivery_of TEXT, url TEXT, status_code INTEGER, error TEXT, report TEXT);
CREATE INDEX deliveries_queue ON deliveries (status, webhook, seq) WHERE finished IS NULL;
CREATE INDEX deliveries_webhook ON deliveries (webhook, seq);
CREATE INDEX deliveries_tenant ON deliveries (tenant, seq);
CREATE INDEX deliveries_event ON deliveries (event);
CREATE INDEX deliveries_failed ON deliveries (tenant, seq) WHERE error IS NOT NULL;
CREATE INDEX deliveries_webhook_failed ON deliveries (webhook, seq) WHERE error IS NOT NULL;
CREATE INDEX deliveries_interrupted ON deliveries (tenant, seq) WHERE status = 'interrupted';
"""


def _first(database: Database) -> None:
    for statement in _FIRST.split(";\n"):
        database.conn.execute(statement)
    database.conn.execute("INSERT INTO meta VALUES ('cursor_key', ?), ('copy', 0)", (secrets.token_bytes(32),))


def _fan_outs(database: Database) -> None:
    database.conn.execute(
        """CREATE TABLE fan_outs (
               seq INTEGER PRIMARY KEY, first_event INTEGER NOT NULL, last_event INTEGER NOT NULL,
               next_delivery INTEGER NOT NULL, targets TEXT NOT NULL)"""
    )


_INTEGRATORS = """
CREATE INDEX secrets_expires ON secrets (expires) WHERE expires IS NOT NULL;
ALTER TABLE webhooks ADD COLUMN headers TEXT;
ALTER TABLE webhooks ADD COLUMN timeout REAL;
ALTER TABLE webhooks ADD COLUMN max_concurrent INTEGER;
ALTER TABLE events ADD COLUMN traceparent TEXT;
ALTER TABLE webhooks ADD COLUMN consecutive_failures INTEGER NOT NULL DEFAULT 0;
ALTER TABLE webhooks ADD COLUMN failing_since INTEGER;
UPDATE webhooks SET consecutive_failures = 1,
    failing_since = CAST(round((julianday(last_delivery ->> 'at') - 2440587.5) * 86400000) AS INTEGER)
    WHERE last_delivery ->> 'status' = 'failed';
CREATE TABLE clock_steps (
    delivery INTEGER NOT NULL, event INTEGER NOT NULL, PRIMARY KEY (delivery, event)) WITHOUT ROWID;
INSERT INTO clock_steps VALUES (
    coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'deliveries'), 0) + 1,
    coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0) + 1)
"""


def _integrators(database: Database) -> None:
    for statement in (*_INTEGRATORS.split(";\n"), *RECOVERIES.split(";\n")):
        database.conn.execute(statement)


MIGRATIONS: tuple[Callable[[Database], None], ...] = (_first, _fan_outs, _integrators)


class NewerDatabase(Exception):
    """The file was written by a later version of the daemon."""


def version(connection: sqlite3.Connection) -> int:
    return connection.execute("PRAGMA user_version").fetchone()[0]


def refuse_newer(connection: sqlite3.Connection) -> None:
    """Writes nothing. Raises `NewerDatabase`, sqlite3.Error."""
    found = version(connection)
    if found > len(MIGRATIONS):
        raise NewerDatabase(
            f"The database has schema version {found}, this daemon knows versions up to {len(MIGRATIONS)}. "
            "Run the newer daemon that wrote it, or restore a backup made by this one."
        )


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the database to this code's version, all in one transaction. Raises sqlite3.Error."""
    found = version(connection)
    if found == len(MIGRATIONS):
        return
    database = Database(connection, execute_plugins=False)
    with transaction(connection):
        for migration in MIGRATIONS[found:]:
            migration(database)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
