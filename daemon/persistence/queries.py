"""Reads. Each takes a connection first, sees only what has been committed, and never writes.

`tenant` None is the operator: everything that belongs to no removed tenant. Lists are newest first; `before` is the
seq of the last row of the page before, `limit` None means all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from daemon.model import Delivery, Event, Millis, SigningSecret, Tenant, Token, Webhook
from daemon.persistence import rows

if TYPE_CHECKING:
    import sqlite3


_MOST_OF_AN_EVENT = 1000


class TokenRow(Struct, frozen=True):
    seq: int
    token: Token


class _Where:
    """Conditions and their parameters, side by side."""

    def __init__(self) -> None:
        self._conditions: list[str] = ["1"]
        self.parameters: list[Any] = []

    def add(self, condition: str, *parameters: object) -> None:
        self._conditions.append(condition)
        self.parameters.extend(parameters)

    def __str__(self) -> str:
        return " AND ".join(self._conditions)


def _owned(alias: str, tenant: int | None) -> _Where:
    where = _Where()
    if tenant is None:
        where.add(f"EXISTS (SELECT 1 FROM tenants t WHERE t.seq = {alias}.tenant AND t.removed = 0)")
    else:
        where.add(f"{alias}.tenant = ?", tenant)
    return where


def webhook(db: sqlite3.Connection, id: str, tenant: int | None) -> Webhook | None:
    where = _owned("w", tenant)
    where.add("w.id = ?", id)
    row = db.execute(f"SELECT {rows.WEBHOOK} FROM webhooks w WHERE {where}", where.parameters).fetchone()
    return None if row is None else rows.webhook(row)


def webhooks(
    db: sqlite3.Connection, tenant: int | None, active: bool | None, limit: int | None, before: int | None
) -> list[Webhook]:
    where = _owned("w", tenant)
    if active is not None:
        where.add("w.active = ?", active)
    return [rows.webhook(row) for row in _page(db, rows.WEBHOOK, "webhooks w", "w", where, limit, before)]


def secrets(db: sqlite3.Connection, webhook_seq: int) -> list[SigningSecret]:
    """The newest first, and those too that have ended and are not deleted yet."""
    found = db.execute(
        "SELECT key, created, expires FROM secrets WHERE webhook = ? ORDER BY created DESC", (webhook_seq,)
    )
    return [SigningSecret(*row) for row in found]


def delivery(db: sqlite3.Connection, id: str, tenant: int | None) -> Delivery | None:
    where = _owned("d", tenant)
    where.add("d.id = ?", id)
    row = db.execute(f"SELECT {rows.DELIVERY} FROM {rows.DELIVERY_TABLES} WHERE {where}", where.parameters).fetchone()
    return None if row is None else rows.delivery(row)


def oldest_event(db: sqlite3.Connection) -> Millis | None:
    """When the first of the events that are kept was accepted."""
    row = db.execute("SELECT created FROM events ORDER BY seq LIMIT 1").fetchone()
    return None if row is None else row[0]


def event(db: sqlite3.Connection, id: str, tenant: int | None) -> Event | None:
    where = _owned("e", tenant)
    where.add("e.id = ?", id)
    row = db.execute(f"SELECT {rows.EVENT} FROM events e WHERE {where}", where.parameters).fetchone()
    return None if row is None else rows.event(row)


def event_deliveries(db: sqlite3.Connection, event_seq: int) -> list[Delivery]:
    """The deliveries of one event, redeliveries included, newest first: at most 1,000, for there is no end to how often
    one can be redelivered."""
    where = _Where()
    where.add("d.event = ?", event_seq)
    return [
        rows.delivery_summary(row)
        for row in _page(db, rows.DELIVERY, rows.DELIVERY_TABLES, "d", where, _MOST_OF_AN_EVENT, None)
    ]


def tenant(db: sqlite3.Connection, id: str) -> Tenant | None:
    row = db.execute(f"SELECT {rows.TENANT} FROM tenants t WHERE t.id = ? AND t.removed = 0", (id,)).fetchone()
    return None if row is None else rows.tenant(row)


def tenants(db: sqlite3.Connection, limit: int | None, before: int | None) -> list[Tenant]:
    where = _Where()
    where.add("t.removed = 0")
    return [rows.tenant(row) for row in _page(db, rows.TENANT, "tenants t", "t", where, limit, before)]


def tokens(db: sqlite3.Connection, tenant: int, limit: int | None, before: int | None) -> list[TokenRow]:
    where = _Where()
    where.add("k.tenant = ?", tenant)
    page = _page(db, f"k.seq, {rows.TOKEN}", "tokens k", "k", where, limit, before)
    return [TokenRow(row[0], rows.token(row[1:])) for row in page]


def _page(
    db: sqlite3.Connection, columns: str, tables: str, alias: str, where: _Where, limit: int | None, before: int | None
) -> list[rows.Row]:
    if before is not None:
        where.add(f"{alias}.seq < ?", before)
    return db.execute(
        f"SELECT {columns} FROM {tables} WHERE {where} ORDER BY {alias}.seq DESC LIMIT ?",
        (*where.parameters, -1 if limit is None else limit),
    ).fetchall()
