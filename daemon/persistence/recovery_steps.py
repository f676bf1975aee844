"""One step of a recovery, inside a batch of the writer: what has ended is counted, and some more is redelivered.

The position on disk moves in the transaction that makes the redeliveries: whenever the daemon dies, no delivery is
redelivered twice, and none is left out. A recovery keeps few of its own waiting at a webhook, so that neither the
endpoint nor what is published meanwhile has to wait for it, and of the tenant's backlog it leaves half to others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from daemon.identifiers import time_prefix
from daemon.model import Millis, Recoverable
from daemon.persistence import recovery_ends, rows
from daemon.persistence.recovery_changes import Lane, Turn
from daemon.persistence.recovery_window import Position, Range, decide, window

if TYPE_CHECKING:
    import sqlite3

    from daemon.persistence.commands import RecoveryStep
    from daemon.persistence.effects import Effects
    from daemon.persistence.recovery_window import Decision
    from daemon.settings import Limits

MOST_WAITING: Final = 200
"""Deliveries of one recovery that wait or run at one webhook."""

# Fewer than such a part of it are not worth a step of their own.
_WORTH_A_STEP = 4
_WEBHOOKS = 100

_LANE = """
SELECT r.status = 'running', r.statuses, r.until, r.last_delivery, l.position_created, l.position_delivery, l.ended,
    w.tenant, w.active AND t.active, w.cancelled_through, t.removed
FROM recovery_lanes l JOIN recoveries r ON r.seq = l.recovery JOIN webhooks w ON w.seq = l.webhook
JOIN tenants t ON t.seq = w.tenant WHERE l.recovery = ? AND l.webhook = ?
"""
_OWN = f"""
SELECT d.seq, {rows.STATUS} AS status FROM recovery_deliveries r JOIN deliveries d ON d.seq = r.delivery
JOIN webhooks w ON w.seq = d.webhook WHERE r.webhook = :webhook AND r.recovery = :recovery
"""
_SETTLE = f"""
DELETE FROM recovery_deliveries WHERE webhook = :webhook AND recovery = :recovery
AND delivery NOT IN (SELECT seq FROM ({_OWN}) WHERE status IN ('pending', 'sending'))
"""
_COUNT = """
UPDATE recoveries SET succeeded = succeeded + ?, failed = failed + ?, interrupted = interrupted + ?,
    cancelled = cancelled + ? WHERE seq = ?
"""
_MAKE = """
INSERT INTO deliveries (id, event, webhook, tenant, event_type, status, created, redelivery_of)
SELECT 'dlv_' || ? || lower(hex(randomblob(10))), d.event, d.webhook, d.tenant, d.event_type, 'pending', ?, d.id
FROM json_each(?) j JOIN deliveries d ON d.seq = j.value ORDER BY j.key
"""
_OWN_THESE = "INSERT INTO recovery_deliveries SELECT seq, ?, webhook FROM deliveries WHERE seq > ?"
_NUMBER = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'deliveries'"
_JOB = """
SELECT r.tenant, r.since, r.next_webhook, r.tenant IS NULL OR t.active
FROM recoveries r LEFT JOIN tenants t ON t.seq = r.tenant WHERE r.seq = ? AND coalesce(t.removed, 0) = 0
"""
_OPEN = """
SELECT json_group_array(json_array(webhook, tenant, has)) FROM (
    SELECT w.seq webhook, w.tenant, w.active AND t.active AND w.cancelled_through <= r.last_delivery AND EXISTS (
        SELECT 1 FROM deliveries d WHERE d.webhook = w.seq AND d.status IN ('failed', 'interrupted')
        AND d.created >= r.since AND d.created < r.until) has
    FROM recoveries r CROSS JOIN webhooks w CROSS JOIN tenants t ON t.seq = w.tenant AND t.removed = 0
    WHERE r.seq = ? AND w.seq >= r.next_webhook AND {condition} ORDER BY w.seq LIMIT ?)
"""


class _Lane(Struct, frozen=True):
    """One webhook of a recovery. `open`: it and its tenant are active."""

    running: int
    statuses: str
    until: Millis
    last: int
    created: Millis
    delivery: int
    ended: int
    tenant: int
    open: int
    cancelled: int
    removed: int

    @property
    def position(self) -> Position:
        return Position(self.created, self.delivery)


_statuses = msgspec.json.Decoder(tuple[Recoverable, ...])
_webhooks = msgspec.json.Decoder(list[tuple[int, int, int]])


def step(db: sqlite3.Connection, command: RecoveryStep, now: int, effects: Effects, limits: Limits) -> None:
    """Raises sqlite3.Error, after which the transaction must be rolled back."""
    turn = (
        find_webhooks(db, command.recovery, effects)
        if not command.webhook
        else _go_on(db, Lane(command.recovery, command.webhook), now, effects, limits)
    )
    effects.recoveries.turns.append(turn)
    if turn.next == "over":
        recovery_ends.complete(db, command.recovery, now, effects)


def find_webhooks(db: sqlite3.Connection, recovery: int, effects: Effects) -> Turn:
    """A lane for each of the next webhooks that have something to recover."""
    here = Lane(recovery, 0)
    job = db.execute(_JOB, (recovery,)).fetchone()
    if job is None or job[2] is None:
        return Turn(here, "over")
    tenant, since, _, active = job
    if not active:
        return Turn(here, "woken")
    condition, values = ("1", ()) if tenant is None else ("w.tenant = ?", (tenant,))
    (found,) = db.execute(_OPEN.format(condition=condition), (recovery, *values, _WEBHOOKS)).fetchone()
    looked_at = _webhooks.decode(found)
    lanes = {Lane(recovery, webhook): owner for webhook, owner, has in looked_at if has}
    db.executemany(
        "INSERT INTO recovery_lanes (recovery, webhook, position_created) VALUES (?, ?, ?)",
        [(recovery, lane.webhook, since) for lane in lanes],
    )
    over = len(looked_at) < _WEBHOOKS
    following = None if over else max(webhook for webhook, *_ in looked_at) + 1
    db.execute("UPDATE recoveries SET next_webhook = ? WHERE seq = ?", (following, recovery))
    effects.recoveries.opened |= lanes
    return Turn(here, "over" if over else "now")


def _go_on(db: sqlite3.Connection, here: Lane, now: int, effects: Effects, limits: Limits) -> Turn:
    recovery, webhook = here
    row = db.execute(_LANE, here).fetchone()
    if row is None:  # its tenant has been removed
        return Turn(here, "over")
    lane = _Lane(*row)
    if not lane.running:
        recovery_ends.withdraw(db, recovery, webhook, now, effects)
    waiting = _settle(db, recovery, webhook)
    ended = bool(lane.ended or lane.removed or not lane.running)
    following = "woken"
    if not ended and lane.open:
        most = max(1, limits.waiting_per_tenant // 2)  # half of what may wait is left to what is published
        own = min(MOST_WAITING, max(1, most // 2))  # and some of the rest to the other webhooks
        least = max(1, own // _WORTH_A_STEP)
        room = min(own - waiting, most - effects.waiting_of(lane.tenant))
        if room >= least:
            decision = _decide(db, webhook, lane, room)
            waiting += _redeliver(db, recovery, webhook, lane, decision, now, effects)
            ended = decision.ended
            following = "now" if own - waiting >= least else "woken"
        elif own - waiting >= least:
            following = "later"
    if ended and (lane.removed or not waiting):
        db.execute("DELETE FROM recovery_deliveries WHERE webhook = ? AND recovery = ?", (webhook, recovery))
        db.execute("DELETE FROM recovery_lanes WHERE recovery = ? AND webhook = ?", (recovery, webhook))
        return Turn(here, "over")
    return Turn(here, "woken" if ended else following)


def _settle(db: sqlite3.Connection, recovery: int, webhook: int) -> int:
    """Count what has ended; how many have not."""
    names = {"webhook": webhook, "recovery": recovery}
    counts: dict[str, int] = dict(
        db.execute(f"SELECT status, count(*) FROM ({_OWN}) GROUP BY status", names).fetchall()
    )
    waiting = counts.pop("pending", 0) + counts.pop("sending", 0)
    if counts:
        db.execute(_SETTLE, names)
        ended = [counts.get(status, 0) for status in ("succeeded", "failed", "interrupted", "cancelled")]
        db.execute(_COUNT, (*ended, recovery))
    return waiting


def _decide(db: sqlite3.Connection, webhook: int, lane: _Lane, room: int) -> Decision:
    statuses = _statuses.decode(lane.statuses)
    chosen = Range(webhook, lane.until, statuses, lane.last, lane.cancelled)
    return decide(window(db, chosen, lane.position), lane.position, statuses, room=room)


def _redeliver(
    db: sqlite3.Connection, recovery: int, webhook: int, lane: _Lane, decision: Decision, now: int, effects: Effects
) -> int:
    count = len(decision.chosen)
    if count:
        (before,) = db.execute(_NUMBER).fetchone()
        db.execute(_MAKE, (time_prefix(now), now, msgspec.json.encode(decision.chosen).decode()))
        db.execute(_OWN_THESE, (recovery, before))
        effects.enqueued(lane.tenant, webhook, count)
        effects.added += count
    position = decision.position
    db.execute(
        """UPDATE recovery_lanes SET position_created = ?, position_delivery = ?, ended = ?
           WHERE recovery = ? AND webhook = ?""",
        (position.created, position.delivery, decision.ended, recovery, webhook),
    )
    db.execute(
        """UPDATE recoveries SET examined = examined + ?, skipped = skipped + ?, redelivered = redelivered + ?
           WHERE seq = ?""",
        (decision.examined, decision.skipped, count, recovery),
    )
    return count
