"""Deliveries of a publish that makes very many: promised in the transaction that stores its events, made a few at a
time in those that follow, so that nobody else's commit waits for all of them.

The promise is a row of `fan_outs`: the events, where they go as of their commit, and the delivery numbers that are kept
for them, so that the order of acceptance, and what a deactivation cancels, do not depend on when a row is made. The
publisher is answered when the last one has been. A start makes what a crash has left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from daemon.identifiers import time_prefix

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from daemon.persistence.effects import Effects

AT_ONCE = 500
"""Deliveries that are made in one transaction."""

_RESERVED = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'deliveries'"
# No row is there before the table's first one.
_RESERVE = """
INSERT INTO sqlite_sequence (name, seq) SELECT 'deliveries', 0
WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'deliveries')
"""
_MAKE = """
INSERT INTO deliveries (seq, id, event, webhook, tenant, event_type, status, created)
SELECT ?1 + row_number() OVER (ORDER BY e.seq) - 1, 'dlv_' || ?2 || lower(hex(randomblob(10))),
    e.seq, s.webhook, e.tenant, e.type, 'pending', e.created
FROM events e JOIN (SELECT value ->> 0 tenant, value ->> 1 type, value ->> 2 webhook FROM json_each(?3)) s
ON s.tenant = e.tenant AND s.type = e.type
JOIN tenants t ON t.seq = e.tenant AND t.removed = 0
WHERE e.seq BETWEEN ?4 AND ?5 ORDER BY e.seq
"""
_MADE = """
SELECT d.tenant, d.webhook, count(*), w.cancelled_through >= ?1
FROM deliveries d JOIN webhooks w ON w.seq = d.webhook WHERE d.seq >= ?1 AND d.seq < ?2 GROUP BY d.webhook
"""
# What was accepted after the promise has waited for it.
_IN_ORDER = """
SELECT tenant, seq FROM webhooks WHERE max_concurrent = 1 AND seq IN (SELECT value ->> 2 FROM json_each(?))
"""


class Destination(NamedTuple):
    """Where events of a tenant and type go."""

    tenant: int
    type: str
    webhook: int


class _Promise(NamedTuple):
    first_event: int
    last_event: int
    next_delivery: int
    targets: str


def promise(
    db: sqlite3.Connection, first_event: int, last_event: int, deliveries: int, targets: Sequence[Destination]
) -> int:
    """That so many deliveries will be made of the events with these numbers. Returns the `seq` of the promise."""
    row = (first_event, last_event, reserve(db, deliveries), msgspec.json.encode(targets).decode())
    cursor = db.execute(
        "INSERT INTO fan_outs (first_event, last_event, next_delivery, targets) VALUES (?, ?, ?, ?)", row
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def reserve(db: sqlite3.Connection, count: int) -> int:
    """The first of so many numbers that no delivery gets by itself from now on."""
    db.execute(_RESERVE)
    (given,) = db.execute(_RESERVED).fetchone()
    db.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'deliveries'", (given + count,))
    return given + 1


def fan_out(db: sqlite3.Connection, seq: int, now: int, effects: Effects) -> bool:
    """Make about `AT_ONCE` of the deliveries promised, inside the running transaction; True if none is left.

    None is made for a tenant that has been removed meanwhile. Raises sqlite3.Error, after which the transaction must
    be rolled back."""
    (targets,) = db.execute("SELECT targets FROM fan_outs WHERE seq = ?", (seq,)).fetchone()
    last, made = _make(db, seq, now)
    for tenant, webhook, count, cancelled in db.execute(_MADE, made).fetchall():
        effects.promised(tenant, -count)
        if cancelled:
            effects.cancelling.add(webhook)
        else:
            effects.enqueued(tenant, webhook, count)
    if last:
        for tenant, webhook in db.execute(_IN_ORDER, (targets,)).fetchall():
            effects.held_back(tenant, webhook)
    return last


def complete(db: sqlite3.Connection, now: int) -> None:
    """Make all that was promised, inside the running transaction. Raises sqlite3.Error."""
    for (seq,) in db.execute("SELECT seq FROM fan_outs ORDER BY seq").fetchall():
        while not _make(db, seq, now)[0]:
            pass


def _make(db: sqlite3.Connection, seq: int, now: int) -> tuple[bool, tuple[int, int]]:
    """Whether none is left, and the range of delivery numbers that were used, its end excluded."""
    row = db.execute("SELECT first_event, last_event, next_delivery, targets FROM fan_outs WHERE seq = ?", (seq,))
    promised = _Promise(*row.fetchone())
    widest = _widest(_destinations.decode(promised.targets))
    last = min(promised.last_event, promised.first_event + max(1, AT_ONCE // widest) - 1)
    first = promised.next_delivery
    made = db.execute(_MAKE, (first, time_prefix(now), promised.targets, promised.first_event, last)).rowcount
    if last == promised.last_event:
        db.execute("DELETE FROM fan_outs WHERE seq = ?", (seq,))
    else:
        db.execute(
            "UPDATE fan_outs SET first_event = ?, next_delivery = ? WHERE seq = ?", (last + 1, first + made, seq)
        )
    return last == promised.last_event, (first, first + made)


def _widest(destinations: Sequence[Destination]) -> int:
    """How many webhooks an event goes to at most."""
    webhooks: dict[tuple[int, str], int] = {}
    for tenant, type, _ in destinations:
        webhooks[tenant, type] = webhooks.get((tenant, type), 0) + 1
    return max(webhooks.values(), default=1)


_destinations = msgspec.json.Decoder(list[Destination])
