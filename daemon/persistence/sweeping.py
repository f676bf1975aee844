"""Work that a commit leaves behind, done a few rows at a time: rows of a cancelled backlog, removed tenants."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from daemon.operations.logs import get_logger
from daemon.persistence.transaction import transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from daemon.operations.metrics import Metrics

ROWS = 100
_CANCELLED = """
SELECT json_group_array(json_array(seq, tenant, webhook, id, event, event_type)) FROM (
    SELECT d.seq, t.id AS tenant, w.id AS webhook, d.id, e.id AS event, d.event_type
    FROM deliveries d JOIN webhooks w ON w.seq = d.webhook JOIN events e ON e.seq = d.event
    JOIN tenants t ON t.seq = d.tenant
    WHERE d.finished IS NULL AND d.status = 'pending' AND d.webhook = ? AND d.seq <= w.cancelled_through
    ORDER BY d.seq LIMIT ?)
"""
# Children before parents: a crash in between leaves nothing that points nowhere.
_TENANT_TABLES = (
    (
        "recovery_deliveries",
        """delivery IN (SELECT r.delivery FROM webhooks w JOIN recovery_deliveries r ON r.webhook = w.seq
                        WHERE w.tenant = ?1 LIMIT ?2)""",
    ),
    (
        "recovery_lanes",
        """webhook IN (SELECT l.webhook FROM webhooks w JOIN recovery_lanes l ON l.webhook = w.seq
                       WHERE w.tenant = ?1 LIMIT ?2)""",
    ),
    ("recoveries", "seq IN (SELECT seq FROM recoveries WHERE tenant = ?1 LIMIT ?2)"),
    ("deliveries", "seq IN (SELECT seq FROM deliveries WHERE tenant = ?1 LIMIT ?2)"),
    ("events", "seq IN (SELECT seq FROM events WHERE tenant = ?1 LIMIT ?2)"),
    ("subscriptions", "webhook IN (SELECT webhook FROM subscriptions WHERE tenant = ?1 LIMIT ?2) AND tenant = ?1"),
    (
        "secrets",
        """webhook IN (SELECT s.webhook FROM webhooks w JOIN secrets s ON s.webhook = w.seq
                       WHERE w.tenant = ?1 LIMIT ?2)""",
    ),
    ("webhooks", "seq IN (SELECT seq FROM webhooks WHERE tenant = ?1 LIMIT ?2)"),
    ("tokens", "seq IN (SELECT seq FROM tokens WHERE tenant = ?1 LIMIT ?2)"),
    ("tenants", "seq = ?1 AND ?2"),
)


class Cancelled(Struct, frozen=True, array_like=True):
    """A delivery whose row now says `cancelled`: it may have shown so since its webhook was deactivated."""

    seq: int
    tenant: str
    webhook: str
    id: str
    event: str
    event_type: str


_cancelled = msgspec.json.Decoder(list[Cancelled])

log = get_logger()


def cancel(db: sqlite3.Connection, webhook: int, now: int) -> list[Cancelled]:
    """Rewrite some cancelled rows of a webhook in a transaction of its own; an empty list means none is left."""
    (found,) = db.execute(_CANCELLED, (webhook, ROWS)).fetchone()
    rows = _cancelled.decode(found)
    if rows:
        with transaction(db):
            db.execute(
                """UPDATE deliveries SET status = 'cancelled', finished = ?
                   WHERE seq IN (SELECT value FROM json_each(?)) AND status = 'pending'""",
                (now, msgspec.json.encode([row.seq for row in rows]).decode()),
            )
    return rows


def tell(cancelled: Sequence[Cancelled], metrics: Metrics) -> None:
    """What operators see of those."""
    for tenant, count in Counter(row.tenant for row in cancelled).items():
        metrics.cancelled(count, tenant)
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


def remove(db: sqlite3.Connection, tenant: int) -> bool:
    """Delete some rows of a removed tenant in a transaction of its own; False when the tenant itself is gone."""
    with transaction(db):
        for table, condition in _TENANT_TABLES:
            if db.execute(f"DELETE FROM {table} WHERE {condition}", (tenant, ROWS)).rowcount > 0:
                return table != "tenants"
    return False


def left_over(db: sqlite3.Connection) -> tuple[Iterable[int], Iterable[int]]:
    """Webhooks with cancelled rows and tenants half removed, as an earlier run left them."""
    webhooks = db.execute(
        """SELECT w.seq FROM (SELECT DISTINCT webhook FROM deliveries WHERE finished IS NULL AND status = 'pending') q
           JOIN webhooks w ON w.seq = q.webhook WHERE EXISTS (SELECT 1 FROM deliveries d WHERE d.finished IS NULL
           AND d.status = 'pending' AND d.webhook = w.seq AND d.seq <= w.cancelled_through)"""
    )
    tenants = db.execute("SELECT seq FROM tenants WHERE removed = 1")
    return [seq for (seq,) in webhooks], [seq for (seq,) in tenants]
