"""Rows to records: the columns each noun is read from, in the order its function expects them."""

from __future__ import annotations

from typing import Any

import msgspec

from daemon.model import Delivery, Event, LastDelivery, Permission, Tenant, Timings, Token, Webhook

Row = tuple[Any, ...]

TENANT = "t.seq, t.id, t.name, t.active, t.created"
TOKEN = "k.id, k.tenant, k.name, k.permissions, k.created, k.expires, k.digest"
WEBHOOK = """w.seq, w.id, w.tenant, w.url, w.name, w.events, w.active, w.created, w.updated, w.last_delivered,
    w.delivery_attempts, w.last_delivery"""
EVENT = "e.seq, e.id, e.tenant, e.type, e.created, e.idempotency_key, e.payload"
# A row that a deactivation has cancelled shows it at once, long before a sweep rewrites it.
STATUS = "CASE WHEN d.status = 'pending' AND d.seq <= w.cancelled_through THEN 'cancelled' ELSE d.status END"
SUMMARY = f"""d.seq, d.id, e.id, d.event_type, d.tenant, w.id, coalesce(d.url, w.url), {STATUS}, d.created, d.started,
    d.finished, d.status_code, d.error, d.error_detail, d.timings, d.remote_address,
    d.reused_connection, d.redelivery_of"""
DELIVERY = f"{SUMMARY}, d.response_headers, d.response_body, d.response_body_truncated"
# CROSS JOIN keeps SQLite from starting a page of deliveries at any other table.
DELIVERY_TABLES = "deliveries d CROSS JOIN webhooks w ON w.seq = d.webhook CROSS JOIN events e ON e.seq = d.event"

_strings = msgspec.json.Decoder(tuple[str, ...])
_permissions = msgspec.json.Decoder(tuple[Permission, ...])
_last = msgspec.json.Decoder(LastDelivery)
_timings = msgspec.json.Decoder(Timings)
_headers = msgspec.json.Decoder(dict[str, str])
_NO_TIMINGS = Timings()


def tenant(row: Row) -> Tenant:
    seq, id, name, active, created = row
    return Tenant(seq, id, name, bool(active), created)


def token(row: Row) -> Token:
    id, tenant, name, permissions, created, expires, digest = row
    return Token(id, tenant, name, _permissions.decode(permissions), created, expires, digest)


def webhook(row: Row) -> Webhook:
    seq, id, tenant, url, name, events, active, created, updated, last_delivered, attempts, last = row
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
    )


def event(row: Row) -> Event:
    return Event(*row)


def delivery(row: Row) -> Delivery:
    """From `SUMMARY` or `DELIVERY` columns; a summary has neither the response's headers nor its body."""
    (*head, timings, remote_address, reused, redelivery_of) = row[:18]
    headers, body, truncated = row[18:] or (None, None, None)
    return Delivery(
        *head,
        timings=_NO_TIMINGS if timings is None else _timings.decode(timings),
        remote_address=remote_address,
        reused_connection=bool(reused),
        redelivery_of=redelivery_of,
        response_headers=None if headers is None else _headers.decode(headers),
        response_body=body,
        response_body_truncated=bool(truncated),
    )
