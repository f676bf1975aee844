"""Reads of recoveries, as in `queries.py`, and counting what one would redeliver."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from daemon.model import Millis, Recoverable
from daemon.persistence import rows
from daemon.persistence.activity import refuse_inactive_tenant, refuse_inactive_webhook
from daemon.persistence.recovery_window import Position, Range, decide, window

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from daemon.model import Recovery

MOST_COUNTED: Final = 1_000_000
_MOST_EXAMINED = 200_000
_AT_ONCE = 2000
_SECONDS = 1.0
# The removed tenants' are being deleted.
_OWNED = "(r.tenant IS NULL OR EXISTS (SELECT 1 FROM tenants t WHERE t.seq = r.tenant AND t.removed = 0))"
_WEBHOOKS = """
SELECT w.seq, w.cancelled_through FROM webhooks w JOIN tenants t ON t.seq = w.tenant
WHERE w.active AND t.active AND t.removed = 0 AND {condition} ORDER BY w.seq
"""
_TOTAL = """
SELECT count(*) FROM (
    SELECT 1 FROM webhooks w CROSS JOIN tenants t ON t.seq = w.tenant CROSS JOIN deliveries d ON d.webhook = w.seq
    WHERE {condition} AND w.active AND t.active AND t.removed = 0
    AND d.status IN ('failed', 'interrupted') AND d.created >= ? AND d.created < ? AND d.status IN (?, ?) LIMIT ?)
"""


class Scope(Struct, frozen=True):
    """What a recovery would be about; `webhook` is a seq; None: all."""

    tenant: int | None
    webhook: int | None
    since: Millis
    until: Millis
    statuses: tuple[Recoverable, ...]


class Count(Struct, frozen=True):
    """What a recovery would do. `whole`: all was looked at, not only as much as a moment allows."""

    examined: int
    skipped: int
    redelivered: int
    whole: bool


def by_seq(db: sqlite3.Connection, seq: int) -> Recovery:
    return rows.recovery(db.execute(f"SELECT {rows.RECOVERY} FROM recoveries r WHERE r.seq = ?", (seq,)).fetchone())


def recovery(db: sqlite3.Connection, id: str, tenant: int | None) -> Recovery | None:
    """`tenant` None is the operator, as everywhere."""
    condition, values = (_OWNED, ()) if tenant is None else ("r.tenant = ?", (tenant,))
    row = db.execute(
        f"SELECT {rows.RECOVERY} FROM recoveries r WHERE r.id = ? AND {condition}", (id, *values)
    ).fetchone()
    return None if row is None else rows.recovery(row)


def recoveries(db: sqlite3.Connection, tenant: int | None, limit: int, before: int | None) -> list[Recovery]:
    """Newest first."""
    condition, values = (_OWNED, ()) if tenant is None else ("r.tenant = ?", (tenant,))
    found = db.execute(
        f"SELECT {rows.RECOVERY} FROM recoveries r WHERE {condition} AND r.seq < ? ORDER BY r.seq DESC LIMIT ?",
        (*values, (1 << 62) if before is None else before, limit),
    )
    return [rows.recovery(row) for row in found]


def total(db: sqlite3.Connection, scope: Scope) -> int | None:
    """How many deliveries there are to examine; None if they are more than a million."""
    condition, values = _condition(scope)
    (found,) = db.execute(
        _TOTAL.format(condition=condition),
        (*values, scope.since, scope.until, scope.statuses[0], scope.statuses[-1], MOST_COUNTED + 1),
    ).fetchone()
    return None if found > MOST_COUNTED else found


def count(db: sqlite3.Connection, scope: Scope) -> Count:
    """What a recovery begun now would do, as far as about a second and some hundred thousand deliveries tell.

    Raises what it would be refused with because something is not active."""
    if scope.webhook is not None:
        refuse_inactive_webhook(db, scope.webhook)
    elif scope.tenant is not None:
        refuse_inactive_tenant(db, scope.tenant)
    deadline = time.monotonic() + _SECONDS
    condition, values = _condition(scope)
    (last,) = db.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'deliveries'").fetchone()
    examined = redelivered = 0
    for webhook, cancelled in db.execute(_WEBHOOKS.format(condition=condition), values).fetchall():
        for met, chosen in _walk(db, Range(webhook, scope.until, scope.statuses, last, cancelled), scope.since):
            examined += met
            redelivered += chosen
            if examined >= _MOST_EXAMINED or time.monotonic() > deadline:
                return Count(examined, examined - redelivered, redelivered, whole=False)
    return Count(examined, examined - redelivered, redelivered, whole=True)


def _walk(db: sqlite3.Connection, chosen: Range, since: Millis) -> Iterator[tuple[int, int]]:
    """How many were examined and would be redelivered, a window at a time."""
    position, ended = Position(since), False
    events: set[int] = set()
    while not ended:
        candidates = window(db, chosen, position, _AT_ONCE)
        decision = decide(candidates, position, chosen.statuses, room=_AT_ONCE, rows=_AT_ONCE)
        position, ended = decision.position, decision.ended
        picked = set(decision.chosen)
        fresh = {candidate.event for candidate in candidates if candidate.seq in picked} - events
        events |= fresh
        yield decision.examined, len(fresh)


def _condition(scope: Scope) -> tuple[str, tuple[int, ...]]:
    if scope.webhook is not None:
        return "w.seq = ?", (scope.webhook,)
    return ("1", ()) if scope.tenant is None else ("w.tenant = ?", (scope.tenant,))
