"""Publishing, set-based: however many commands and events a batch holds, the same four statements store them.

A command that makes more than a few hundred deliveries stores its events and the promise of these (`fan_out.py`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from daemon.identifiers import new_event_ids, time_prefix
from daemon.persistence.bulk import Bulk
from daemon.persistence.commands import Begun, NewEvent, Publish, Published
from daemon.persistence.fan_out import AT_ONCE, Destination, promise
from daemon.refusals import BacklogFull, FanOutTooLarge, IdempotencyConflict, Refusal, TenantInactive

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from daemon.persistence.effects import Effects
    from daemon.settings import Limits

_SUBSCRIBERS = """
SELECT json_group_array(json_array(
    p.value ->> 0, p.value ->> 1, coalesce((SELECT active FROM tenants WHERE seq = p.value ->> 0 AND removed = 0), 0),
    (SELECT json_group_array(webhook) FROM subscriptions
     WHERE tenant = p.value ->> 0 AND event_type = p.value ->> 1)))
FROM json_each(?) p
"""
_KNOWN_KEYS = """
SELECT json_group_array(json_array(e.tenant, e.idempotency_key, e.fingerprint, e.id, e.type, e.created, e.deliveries))
FROM json_each(?) k JOIN events e ON e.tenant = k.value ->> 0 AND e.idempotency_key = k.value ->> 1
"""
_INSERT_EVENTS = Bulk(
    """
INSERT INTO events (seq, id, tenant, type, created, deliveries, idempotency_key, fingerprint, payload,
    traceparent)
SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL
""",
    columns=10,
)
_FAN_OUT = """
INSERT INTO deliveries (id, event, webhook, tenant, event_type, status, created)
SELECT 'dlv_' || ? || lower(hex(randomblob(10))), e.seq, s.webhook, e.tenant, e.type, 'pending', e.created
FROM events e JOIN subscriptions s ON s.tenant = e.tenant AND s.event_type = e.type
WHERE e.seq >= ? AND NOT EXISTS (SELECT 1 FROM fan_outs f WHERE e.seq BETWEEN f.first_event AND f.last_event)
ORDER BY e.seq
"""


class _Target(NamedTuple):
    tenant: int
    type: str


class _Known(msgspec.Struct, frozen=True, array_like=True):
    tenant: int
    key: str
    fingerprint: str
    id: str
    type: str
    created: int
    deliveries: int


class _EventRow(NamedTuple):
    seq: int
    id: str
    tenant: int
    type: str
    created: int
    deliveries: int
    key: str | None
    fingerprint: str | None
    payload: str
    traceparent: str | None


_subscribers = msgspec.json.Decoder(list[tuple[int, str, int, list[int]]])
_known = msgspec.json.Decoder(list[_Known])


def publish(
    db: sqlite3.Connection, commands: Sequence[Publish], now: int, limits: Limits, effects: Effects
) -> list[list[Published] | Begun | Refusal]:
    """Carry out the commands inside the running transaction; a refused one stores nothing and spoils no other.

    Raises sqlite3.Error, after which the transaction must be rolled back."""
    targets = {_Target(event.tenant, event.type) for command in commands for event in command.events}
    keys = {(e.tenant, e.idempotency_key) for command in commands for e in command.events if e.idempotency_key}
    ids = new_event_ids(now, sum(len(command.events) for command in commands))
    batch = _Batch(_find_subscribers(db, targets), _find_known(db, keys), _next_seq(db), ids, now, limits)
    first = batch.next_seq
    results: list[list[Published] | Begun | Refusal] = []
    for command in commands:
        try:
            results.append(_admitted(db, batch.admit(command, effects)))
        except Refusal as refusal:
            results.append(refusal)
    if batch.rows:
        effects.written += sum(len(row.payload) for row in batch.rows)
        effects.published(row.id for row in batch.rows)
        effects.destinations |= batch.destinations
        effects.added += sum(1 + row.deliveries for row in batch.rows)
        _INSERT_EVENTS.run(db, batch.rows)
        if any(row.deliveries for row in batch.rows):
            db.execute(_FAN_OUT, (time_prefix(now), first))
    return results


class _Admission(NamedTuple):
    """What a command is answered; `targets` of the events from `first` to `last` if their deliveries are to be
    promised, none if they are made at once."""

    published: list[Published]
    first: int
    last: int
    deliveries: int
    targets: list[Destination]


def _admitted(db: sqlite3.Connection, admission: _Admission) -> list[Published] | Begun:
    published, first, last, deliveries, targets = admission
    return Begun(published, promise(db, first, last, deliveries, targets)) if targets else published


class _Batch:
    """Decides, event by event, what is stored; holds what is known of the database at this moment."""

    def __init__(
        self,
        subscribers: dict[_Target, list[int] | None],
        known: dict[tuple[int, str], _Known],
        next_seq: int,
        ids: Iterator[str],
        now: int,
        limits: Limits,
    ) -> None:
        self.destinations: dict[tuple[int, str], Sequence[int]] = {
            target: webhooks for target, webhooks in subscribers.items() if webhooks is not None
        }
        self._subscribers = subscribers
        self._known = known
        self.next_seq = next_seq
        self._ids = ids
        self._now = now
        self._limits = limits
        self.rows: list[_EventRow] = []

    def admit(self, command: Publish, effects: Effects) -> _Admission:
        fresh: dict[tuple[int, str], _Known] = {}
        rows: list[_EventRow] = []
        answers: list[Published] = []
        new: dict[_Target, int] = {}
        fan_out = 0
        for index, event in enumerate(command.events):
            pointer = f"/events/{index}" if command.batch else ""
            target = _Target(event.tenant, event.type)
            webhooks = self._subscribers[target]
            if webhooks is None:
                raise TenantInactive(
                    "The tenant is not active. Activate it before publishing for it.", pointer=f"{pointer}/tenant"
                )
            first = self._first_of(event, fresh, pointer)
            if first is not None:
                answers.append(Published(first.id, first.type, first.created, first.deliveries, True))
                continue
            fan_out += len(webhooks)
            if fan_out > self._limits.deliveries_per_request:
                raise FanOutTooLarge(
                    f"These events would make more than {self._limits.deliveries_per_request} deliveries "
                    f"(limits.deliveries_per_request). The first {index} would fit: publish those, then the rest.",
                    pointer=pointer,
                )
            row = self._row(event, self.next_seq + len(rows), len(webhooks), command.traceparent)
            rows.append(row)
            new[target] = new.get(target, 0) + 1
            answers.append(Published(row.id, row.type, row.created, row.deliveries, False))
            if event.idempotency_key and row.fingerprint is not None:
                fresh[event.tenant, event.idempotency_key] = _Known(
                    row.tenant, event.idempotency_key, row.fingerprint, row.id, row.type, row.created, row.deliveries
                )
        self._check_backlog(new, effects)
        self._known.update(fresh)
        self.rows.extend(rows)
        first, self.next_seq = self.next_seq, self.next_seq + len(rows)
        destinations = [Destination(*target, webhook) for target in new for webhook in self._subscribers[target] or ()]
        if fan_out > AT_ONCE:
            for tenant, type, _ in destinations:
                effects.promised(tenant, new[_Target(tenant, type)])
            return _Admission(answers, first, self.next_seq - 1, fan_out, destinations)
        for tenant, type, webhook in destinations:
            effects.enqueued(tenant, webhook, new[_Target(tenant, type)])
        return _Admission(answers, first, self.next_seq - 1, fan_out, [])

    def _first_of(self, event: NewEvent, fresh: dict[tuple[int, str], _Known], pointer: str) -> _Known | None:
        """The event that already holds this key. Raises `IdempotencyConflict` if its content differs."""
        if event.idempotency_key is None or event.fingerprint is None:
            return None
        key = event.tenant, event.idempotency_key
        first = fresh.get(key) or self._known.get(key)
        if first is not None and first.fingerprint != event.fingerprint.hex():
            raise IdempotencyConflict(
                "This idempotency key was used for an event with other content. Send the same content, or a new key.",
                pointer=f"{pointer}/idempotencyKey",
            )
        return first

    def _row(self, event: NewEvent, seq: int, deliveries: int, traceparent: str | None) -> _EventRow:
        fingerprint = None if event.fingerprint is None else event.fingerprint.hex()
        id, payload, key = next(self._ids), event.payload.decode(), event.idempotency_key
        return _EventRow(
            seq, id, event.tenant, event.type, self._now, deliveries, key, fingerprint, payload, traceparent
        )

    def _check_backlog(self, new: dict[_Target, int], effects: Effects) -> None:
        added: dict[int, int] = {}
        for target, count in new.items():
            deliveries = count * len(self._subscribers[target] or ())
            added[target.tenant] = added.get(target.tenant, 0) + deliveries
        for tenant, count in added.items():
            refuse_if_full(tenant, count, self._limits, effects)


def refuse_if_full(tenant: int, adding: int, limits: Limits, effects: Effects) -> None:
    """Raises `BacklogFull` if `adding` more deliveries would pass the tenant's limit."""
    if adding and effects.waiting_of(tenant) + adding > limits.waiting_per_tenant:
        raise BacklogFull(
            f"The tenant's backlog is full: {effects.waiting_of(tenant)} deliveries wait, "
            f"{limits.waiting_per_tenant} may (limits.waiting_per_tenant). Send this again when it has drained."
        )


def _find_subscribers(db: sqlite3.Connection, targets: set[_Target]) -> dict[_Target, list[int] | None]:
    """The webhooks of each target; None for a tenant that is not active."""
    (found,) = db.execute(_SUBSCRIBERS, (msgspec.json.encode(targets).decode(),)).fetchone()
    return {
        _Target(tenant, type): webhooks if active else None
        for tenant, type, active, webhooks in _subscribers.decode(found)
    }


def _find_known(db: sqlite3.Connection, keys: set[tuple[int, str]]) -> dict[tuple[int, str], _Known]:
    if not keys:
        return {}
    (found,) = db.execute(_KNOWN_KEYS, (msgspec.json.encode(keys).decode(),)).fetchone()
    return {(known.tenant, known.key): known for known in _known.decode(found)}


def _next_seq(db: sqlite3.Connection) -> int:
    (last,) = db.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events'").fetchone()
    return last + 1
