"""Rows to records: the columns each noun is read from, in the order its function expects them."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct, structs

from daemon.model import (
    Delivery,
    Event,
    LastDelivery,
    Permission,
    Recoverable,
    Recovery,
    Tenant,
    Timings,
    Token,
    Webhook,
)

Row = tuple[Any, ...]

TENANT = "t.seq, t.id, t.name, t.active, t.created"
TOKEN = "k.id, k.tenant, k.name, k.permissions, k.created, k.expires, k.digest"
WEBHOOK = """w.seq, w.id, w.tenant, w.url, w.name, w.events, w.active, w.created, w.updated, w.last_delivered,
    w.delivery_attempts, w.last_delivery, w.headers, w.timeout, w.max_concurrent"""
EVENT = "e.seq, e.id, e.tenant, e.type, e.created, e.idempotency_key, e.payload, e.traceparent"
EVENT_SUMMARY = "e.seq, e.id, e.tenant, e.type, e.created, e.idempotency_key, e.deliveries, e.traceparent"
RECOVERY = """r.seq, r.id, r.tenant, (SELECT w.id FROM webhooks w WHERE w.seq = r.webhook), r.since, r.until,
    r.statuses, r.status, r.reason, r.created, r.finished, r.total, r.examined, r.skipped, r.redelivered, r.succeeded,
    r.failed, r.interrupted, r.cancelled"""
# A row that a deactivation has cancelled shows it at once, long before a sweep rewrites it.
STATUS = "CASE WHEN d.status = 'pending' AND d.seq <= w.cancelled_through THEN 'cancelled' ELSE d.status END"
DELIVERY = f"""d.seq, d.id, e.id, d.event_type, d.tenant, w.id, coalesce(d.url, w.url), {STATUS}, d.created, d.started,
    d.finished, d.status_code, d.error, d.redelivery_of, d.report"""
# CROSS JOIN keeps SQLite from starting a page of deliveries at any other table.
DELIVERY_JOINED = "CROSS JOIN webhooks w ON w.seq = d.webhook CROSS JOIN events e ON e.seq = d.event"
DELIVERY_TABLES = f"deliveries d {DELIVERY_JOINED}"

_strings = msgspec.json.Decoder(tuple[str, ...])
_statuses = msgspec.json.Decoder(tuple[Recoverable, ...])
_permissions = msgspec.json.Decoder(tuple[Permission, ...])
_last = msgspec.json.Decoder(LastDelivery)
_headers = msgspec.json.Decoder(dict[str, str])


class Summary(Struct, frozen=True, omit_defaults=True):
    """What a list shows of how an attempt went."""

    error_detail: str | None = None
    timings: Timings = Timings()
    remote_address: str | None = None
    reused_connection: bool = False


class Report(Summary, frozen=True, omit_defaults=True):
    """All that is kept of how an attempt went, beside what has a column of its own."""

    response_headers: dict[str, str] | None = None
    response_body: str | None = None
    response_body_truncated: bool = False


_summary = msgspec.json.Decoder(Summary)
_report = msgspec.json.Decoder(Report)


def tenant(row: Row) -> Tenant:
    seq, id, name, active, created = row
    return Tenant(seq, id, name, bool(active), created)


def token(row: Row) -> Token:
    id, tenant, name, permissions, created, expires, digest = row
    return Token(id, tenant, name, _permissions.decode(permissions), created, expires, digest)


def webhook(row: Row) -> Webhook:
    seq, id, tenant, url, name, events, active, created, updated, last_delivered, attempts, last, *own = row
    headers, timeout, max_concurrent = own
    last_delivery = None if last is None else _last.decode(last)
    return Webhook(
        seq,
        id,
        tenant,
        url,
        name,
        _strings.decode(events),
        bool(active),
        created,
        updated,
        last_delivered,
        attempts,
        last_delivery,
        {} if headers is None else _headers.decode(headers),
        timeout,
        max_concurrent,
    )


def recovery(row: Row) -> Recovery:
    values = list(row)
    values[6] = _statuses.decode(values[6])
    return Recovery(*values)


def event(row: Row) -> Event:
    return Event(*row)


def delivery(row: Row) -> Delivery:
    return _delivery(row, Report() if row[-1] is None else _report.decode(row[-1]))


def delivery_summary(row: Row) -> Delivery:
    """Neither the response's headers nor its body: they are not even decoded."""
    return _delivery(row, Summary() if row[-1] is None else _summary.decode(row[-1]))


def _delivery(row: Row, report: Summary) -> Delivery:
    (*head, redelivery_of, _) = row
    return Delivery(*head, redelivery_of=redelivery_of, **structs.asdict(report))
