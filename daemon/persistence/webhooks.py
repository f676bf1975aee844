"""Writes to webhooks, and the deliveries people ask for one by one. Checks first, writes last, as in administration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from daemon.events import PING, ping_payload
from daemon.identifiers import new_delivery_id, new_event_id, new_webhook_id
from daemon.persistence import queries, recovery_ends
from daemon.persistence.activity import refuse_inactive_webhook
from daemon.persistence.fan_out import reserve
from daemon.persistence.publishing import refuse_if_full
from daemon.refusals import Conflict, LimitReached, NotFinished, NotFound
from daemon.static_headers import restored

if TYPE_CHECKING:
    import sqlite3

    from daemon.model import Delivery, Webhook
    from daemon.persistence.commands import CreateWebhook, DeleteWebhook, Ping, Redeliver, UpdateWebhook
    from daemon.persistence.effects import Effects
    from daemon.settings import Limits

_MOST_WEBHOOKS = 1000
_TIMES_THE_ACTIVE = 10


def create_webhook(
    db: sqlite3.Connection, command: CreateWebhook, now: int, effects: Effects, limits: Limits
) -> Webhook:
    if not db.execute("SELECT 1 FROM tenants WHERE seq = ? AND removed = 0", (command.tenant,)).fetchone():
        raise NotFound("There is no tenant with this id.")
    if command.active:
        _refuse_one_more(db, command.tenant, limits)
    _refuse_too_many(db, command.tenant, limits)
    id = new_webhook_id()
    while db.execute("SELECT 1 FROM webhooks WHERE id = ?", (id,)).fetchone():
        id = new_webhook_id()
    cursor = db.execute(
        """INSERT INTO webhooks (id, tenant, url, name, events, active, created, updated, headers, timeout,
           max_concurrent) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        (
            id,
            command.tenant,
            command.url,
            command.name,
            _json(command.events),
            command.active,
            now,
            now,
            _stored(command.headers),
            command.timeout,
            command.max_concurrent,
        ),
    )
    db.execute("INSERT INTO secrets (webhook, created, key) VALUES (?, ?, ?)", (cursor.lastrowid, now, command.secret))
    webhook = _webhook(db, id, command.tenant)
    _subscribe(db, webhook)
    return webhook


def update_webhook(
    db: sqlite3.Connection, command: UpdateWebhook, now: int, effects: Effects, limits: Limits
) -> Webhook:
    before = _webhook(db, command.id, command.tenant)
    active = before.active if command.active is msgspec.UNSET else command.active
    headers = before.headers if command.headers is msgspec.UNSET else _restored(command.headers, before)
    if active and not before.active:
        _refuse_one_more(db, before.tenant, limits)
    db.execute(
        """UPDATE webhooks SET url = ?, name = ?, events = ?, active = ?, updated = ?, headers = ?, timeout = ?,
           max_concurrent = ? WHERE seq = ?""",
        (
            before.url if command.url is msgspec.UNSET else command.url,
            before.name if command.name is msgspec.UNSET else command.name,
            _json(before.events if command.events is msgspec.UNSET else command.events),
            active,
            now,
            _stored(headers),
            before.timeout if command.timeout is msgspec.UNSET else command.timeout,
            before.max_concurrent if command.max_concurrent is msgspec.UNSET else command.max_concurrent,
            before.seq,
        ),
    )
    if before.active and not active:
        _cancel_waiting(db, before.seq, now, effects)
    webhook = _webhook(db, command.id, command.tenant)
    _subscribe(db, webhook)
    return webhook


def delete_webhook(db: sqlite3.Connection, command: DeleteWebhook, now: int, effects: Effects, limits: Limits) -> None:
    webhook = _webhook(db, command.id, command.tenant)
    if webhook.active:
        db.execute("UPDATE webhooks SET active = 0, updated = ? WHERE seq = ?", (now, webhook.seq))
        db.execute("DELETE FROM subscriptions WHERE webhook = ? AND tenant = ?", (webhook.seq, webhook.tenant))
        _cancel_waiting(db, webhook.seq, now, effects)


def redeliver(db: sqlite3.Connection, command: Redeliver, now: int, effects: Effects, limits: Limits) -> Delivery:
    old = queries.delivery(db, command.id, command.tenant)
    if old is None:
        raise NotFound("There is no delivery with this id.")
    webhook = _webhook(db, old.webhook, command.tenant)
    refuse_inactive_webhook(db, webhook.seq)
    if old.status in ("pending", "sending"):
        raise NotFinished("The delivery has not finished yet. Redeliver it when it has.")
    (event,) = db.execute("SELECT event FROM deliveries WHERE seq = ?", (old.seq,)).fetchone()
    return _enqueue(db, webhook, event, old.event_type, old.id, now, effects, limits)


def ping(db: sqlite3.Connection, command: Ping, now: int, effects: Effects, limits: Limits) -> Delivery:
    webhook = _webhook(db, command.webhook, command.tenant)
    refuse_inactive_webhook(db, webhook.seq)
    refuse_if_full(webhook.tenant, 1, limits, effects)
    cursor = db.execute(
        "INSERT INTO events (id, tenant, type, created, deliveries, payload) VALUES (?, ?, ?, ?, 1, ?)",
        (new_event_id(now), webhook.tenant, PING, now, ping_payload(webhook.id, webhook.name, now).decode()),
    )
    return _enqueue(db, webhook, cursor.lastrowid, PING, None, now, effects, limits)


def _webhook(db: sqlite3.Connection, id: str, tenant: int | None) -> Webhook:
    webhook = queries.webhook(db, id, tenant)
    if webhook is None:
        raise NotFound("There is no webhook with this id.")
    return webhook


def _restored(wanted: dict[str, str], before: Webhook) -> dict[str, str]:
    try:
        return restored(wanted, before.headers)
    except (KeyError, ValueError):
        raise Conflict("The headers were changed meanwhile. Read the webhook again.", pointer="/headers") from None


def _refuse_one_more(db: sqlite3.Connection, tenant: int, limits: Limits) -> None:
    (active,) = db.execute("SELECT count(*) FROM webhooks WHERE tenant = ? AND active", (tenant,)).fetchone()
    if active >= limits.webhooks_per_tenant:
        raise LimitReached(
            f"The tenant has {active} active webhooks, {limits.webhooks_per_tenant} are allowed "
            "(limits.webhooks_per_tenant). Delete or deactivate one first."
        )


def _refuse_too_many(db: sqlite3.Connection, tenant: int, limits: Limits) -> None:
    """Deleted ones are kept, and the list of all is never cut: without a bound one tenant could fill the memory."""
    most = max(_MOST_WEBHOOKS, _TIMES_THE_ACTIVE * limits.webhooks_per_tenant)
    (kept,) = db.execute("SELECT count(*) FROM webhooks WHERE tenant = ?", (tenant,)).fetchone()
    if kept >= most:
        raise LimitReached(
            f"The tenant has {kept} webhooks, deleted ones included; no more are kept. Use a deleted one again: change "
            'its url, and set "active" to true.'
        )


def _subscribe(db: sqlite3.Connection, webhook: Webhook) -> None:
    """Make the webhook's subscriptions what its record says: none while it is inactive."""
    db.execute("DELETE FROM subscriptions WHERE webhook = ? AND tenant = ?", (webhook.seq, webhook.tenant))
    if webhook.active:
        db.executemany(
            "INSERT INTO subscriptions (tenant, event_type, webhook) VALUES (?, ?, ?)",
            [(webhook.tenant, event, webhook.seq) for event in webhook.events],
        )


def _cancel_waiting(db: sqlite3.Connection, webhook: int, now: int, effects: Effects) -> None:
    """Constant time however long the backlog: raise the high-water mark; a sweep rewrites the rows later. Recoveries of
    the webhook go on no further, also if it is revived.

    The mark is a number of its own, so that a recovery that has yet to reach the webhook sees which of them came
    first, though nothing was published between."""
    db.execute("UPDATE webhooks SET cancelled_through = ? WHERE seq = ?", (reserve(db, 1), webhook))
    recovery_ends.deactivated(db, webhook, now, effects)
    effects.cancelled(webhook)


def _enqueue(
    db: sqlite3.Connection,
    webhook: Webhook,
    event: int | None,
    event_type: str,
    redelivery_of: str | None,
    now: int,
    effects: Effects,
    limits: Limits,
) -> Delivery:
    refuse_if_full(webhook.tenant, 1, limits, effects)
    id = new_delivery_id(now)
    db.execute(
        """INSERT INTO deliveries (id, event, webhook, tenant, event_type, status, created, redelivery_of)
           VALUES (?, ?, ?, ?, ?, 'pending', ?, ?)""",
        (id, event, webhook.seq, webhook.tenant, event_type, now, redelivery_of),
    )
    effects.enqueued(webhook.tenant, webhook.seq, 1)
    delivery = queries.delivery(db, id, webhook.tenant)
    assert delivery is not None
    return delivery


def _stored(headers: dict[str, str]) -> str | None:
    return _json(headers) if headers else None


def _json(value: tuple[str, ...] | dict[str, str]) -> str:
    return msgspec.json.encode(value).decode()
