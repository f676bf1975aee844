"""Lists that are searched: filtered, newest first, whatever they match among however many rows.

A search looks at a bounded number of rows and says how far it has come: a page may be short, or empty, and still not be
the last. What an index tells by itself needs none and is exact; times are looked up (`clock_steps`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from msgspec import Struct

from daemon.model import Delivery, ErrorCode, EventSummary, Millis, Status
from daemon.persistence import rows
from daemon.persistence.clock_steps import Span, spans
from daemon.persistence.walking import Walk

if TYPE_CHECKING:
    import sqlite3

R = TypeVar("R")

_NOT_REMOVED = "EXISTS (SELECT 1 FROM tenants t WHERE t.seq = {}.tenant AND t.removed = 0)"
_OF_ITS_DELIVERIES = """
EXISTS (SELECT 1 FROM deliveries d CROSS JOIN webhooks w ON w.seq = d.webhook WHERE d.event = e.seq AND {})
"""
# The newest of each webhook's queue: LIMIT cannot refer to an outer row, so it goes by way of JSON.
_QUEUED = """
SELECT json_group_array(q.value) FROM webhooks v JOIN json_each((SELECT json_group_array(seq) FROM (
    SELECT seq FROM deliveries INDEXED BY deliveries_queue WHERE finished IS NULL AND status = ?1 AND webhook = v.seq
    AND seq > iif(?1 = 'pending', v.cancelled_through, 0) AND seq < ?2 AND created >= ?3 AND created < ?4
    ORDER BY seq DESC LIMIT ?5))) q
WHERE v.tenant = ?6
"""
_EVER = (1 << 63) - 1


class DeliveryFilter(Struct, frozen=True):
    """Which deliveries a list shows; None does not filter. `webhook` is a seq, `tenant` its owner or None; `since`
    inclusive, `until` exclusive, both on `created`."""

    tenant: int | None = None
    webhook: int | None = None
    status: Status | None = None
    event_type: str | None = None
    error: ErrorCode | None = None
    since: Millis | None = None
    until: Millis | None = None


class EventFilter(Struct, frozen=True):
    """Which events a list shows, as `DeliveryFilter`. `status` and `error` are of any one of its deliveries;
    `idempotency_key` needs a `tenant`."""

    tenant: int | None = None
    type: str | None = None
    idempotency_key: str | None = None
    status: Status | None = None
    error: ErrorCode | None = None
    since: Millis | None = None
    until: Millis | None = None


class Searched(NamedTuple, Generic[R]):
    """`seen`: every row from this seq on has been looked at, none before it; None when there are no more."""

    rows: list[R]
    seen: int | None = None


def deliveries(db: sqlite3.Connection, chosen: DeliveryFilter, limit: int, before: int | None) -> Searched[Delivery]:
    """`before`: the seq of the last row of the page before, or its `seen`. Raises sqlite3.Error."""
    if chosen.error is not None and chosen.status not in (None, "failed"):
        return Searched([])
    by_queues = chosen.status in ("pending", "sending") and chosen.webhook is None and chosen.event_type is None
    if by_queues and chosen.tenant is not None:
        walk = _queued(db, chosen, chosen.tenant, limit, before)
    else:
        walk = _deliveries(chosen)
    in_time = _before(spans(db, "deliveries", chosen.since, chosen.until), before)
    found, seen = walk.search(db, rows.DELIVERY, rows.DELIVERY_JOINED, in_time, limit)
    return Searched([rows.delivery_summary(row) for row in found], seen)


def events(db: sqlite3.Connection, chosen: EventFilter, limit: int, before: int | None) -> Searched[EventSummary]:
    """`before` as in `deliveries`. Raises sqlite3.Error."""
    in_time = _before(spans(db, "events", chosen.since, chosen.until), before)
    found, seen = _events(chosen).search(db, rows.EVENT_SUMMARY, "", in_time, limit)
    return Searched([EventSummary(*row) for row in found], seen)


def _before(spans: list[Span], before: int | None) -> list[Span]:
    return spans if before is None else [Span(span.first, min(span.last, before - 1)) for span in spans]


def _deliveries(chosen: DeliveryFilter) -> Walk:
    walk = _with_status(chosen)
    if chosen.webhook is not None and (chosen.status != "interrupted" or chosen.tenant is None):
        walk.only("d.webhook = ?", chosen.webhook)
    elif chosen.tenant is not None:
        walk.only("d.tenant = ?", chosen.tenant)
        if chosen.webhook is not None:
            walk.filtered("d.webhook = ?", chosen.webhook)
    else:
        walk.filtered(_NOT_REMOVED.format("d"))
    if chosen.event_type is not None:
        walk.filtered("d.event_type = ?", chosen.event_type)
    if chosen.error is not None:
        walk.filtered("d.error = ?", chosen.error)
    if chosen.since is not None:
        walk.filtered("d.created >= ?", chosen.since)
    if chosen.until is not None:
        walk.filtered("d.created < ?", chosen.until)
    return walk


def _with_status(chosen: DeliveryFilter) -> Walk:
    """What is rare among many has an index of its own, which serves only a condition that is written out."""
    of = "webhook" if chosen.webhook is not None else "tenant" if chosen.tenant is not None else None
    status = chosen.status
    if of is not None and (status == "failed" or chosen.error is not None):
        walk = Walk("deliveries", "d", "deliveries_failed" if of == "tenant" else "deliveries_webhook_failed")
        walk.only("d.error IS NOT NULL")
    elif chosen.tenant is not None and status == "interrupted":
        walk = Walk("deliveries", "d", "deliveries_interrupted")
        walk.only("d.status = 'interrupted'")
    elif of == "webhook" and status in ("pending", "sending"):
        walk = Walk("deliveries", "d", "deliveries_queue")
        walk.only("d.finished IS NULL AND d.status = ?", status)
        if status == "pending":
            walk.only("d.seq > (SELECT cancelled_through FROM webhooks WHERE seq = ?)", chosen.webhook)
    else:
        walk = Walk("deliveries", "d", None if of is None else f"deliveries_{of}")
        if status is not None:
            walk.filtered(f"{rows.STATUS} = ?", status)
    return walk


def _queued(db: sqlite3.Connection, chosen: DeliveryFilter, tenant: int, limit: int, before: int | None) -> Walk:
    """What waits or is under way of all the tenant's webhooks: the newest of each, for the page is among them."""
    end = _EVER if before is None else before
    until = _EVER if chosen.until is None else chosen.until
    (found,) = db.execute(_QUEUED, (chosen.status, end, chosen.since or 0, until, limit, tenant)).fetchone()
    walk = Walk("deliveries", "d", None)
    walk.only("d.seq IN (SELECT value FROM json_each(?))", found)
    return walk


def _events(chosen: EventFilter) -> Walk:
    if chosen.idempotency_key is not None:
        walk = Walk("events", "e", "events_key")
        walk.only("e.idempotency_key = ?", chosen.idempotency_key)
    else:
        walk = Walk("events", "e", None if chosen.tenant is None else "events_tenant")
    if chosen.tenant is None:
        walk.filtered(_NOT_REMOVED.format("e"))
    else:
        walk.only("e.tenant = ?", chosen.tenant)
    of_delivery = {f"{rows.STATUS} = ?": chosen.status, "d.error = ?": chosen.error}
    wanted = {condition: value for condition, value in of_delivery.items() if value is not None}
    if wanted:
        walk.filtered(_OF_ITS_DELIVERIES.format(" AND ".join(wanted)), *wanted.values())
    if chosen.type is not None:
        walk.filtered("e.type = ?", chosen.type)
    if chosen.since is not None:
        walk.filtered("e.created >= ?", chosen.since)
    if chosen.until is not None:
        walk.filtered("e.created < ?", chosen.until)
    return walk
