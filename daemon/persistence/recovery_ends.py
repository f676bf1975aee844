"""How a recovery ends: complete, cancelled by whoever may, or with what it is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from daemon.persistence import recovery_queries
from daemon.persistence.recovery_changes import Lane
from daemon.persistence.sweeping import Cancelled
from daemon.refusals import NotFound

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from daemon.model import Recovery
    from daemon.persistence.commands import CancelRecovery, ForgetRecoveries
    from daemon.persistence.effects import Effects

_ASKED = "It was cancelled on request."
_DEACTIVATED = "The webhook was deactivated."
_COPIED = "The daemon started on a backup, which sends nothing by itself."
_LOOKED_AT = 200
_KEPT_AT_LEAST = 86_400_000  # ms

_COMPLETE = """
UPDATE recoveries SET status = 'completed', finished = ?2 WHERE seq = ?1 AND finished IS NULL AND next_webhook IS NULL
AND NOT EXISTS (SELECT 1 FROM recovery_lanes WHERE recovery = ?1)
"""
_MADE = """
SELECT DISTINCT r.recovery, r.webhook FROM json_each(?) j CROSS JOIN recovery_deliveries r ON r.delivery = j.value
"""
_WAITING = """
SELECT json_group_array(json_array(d.seq, t.id, w.id, d.id, e.id, d.event_type)), min(w.tenant)
FROM recovery_deliveries r JOIN deliveries d ON d.seq = r.delivery JOIN webhooks w ON w.seq = d.webhook
JOIN tenants t ON t.seq = w.tenant JOIN events e ON e.seq = d.event
WHERE r.webhook = ?1 AND r.recovery = ?2 AND d.status = 'pending' AND d.seq > w.cancelled_through
"""
_LOOK = "SELECT max(seq), count(*) FROM (SELECT seq FROM recoveries WHERE seq > ? ORDER BY seq LIMIT ?)"
# While anything is kept of which a job can have known, so is the job.
_FORGET = """
DELETE FROM recoveries WHERE seq > ?1 AND seq <= ?2 AND finished < ?3
AND last_delivery < coalesce((SELECT min(seq) FROM deliveries), 1 << 62)
AND NOT EXISTS (SELECT 1 FROM recovery_lanes l WHERE l.recovery = recoveries.seq)
"""
_withdrawn = msgspec.json.Decoder(list[Cancelled])


def complete(db: sqlite3.Connection, recovery: int, now: int, effects: Effects) -> None:
    """If nothing is left to do, it is over."""
    if db.execute(_COMPLETE, (recovery, now)).rowcount:
        effects.recoveries.ended.append(recovery_queries.by_seq(db, recovery))


def delivered(db: sqlite3.Connection, deliveries: Sequence[int], effects: Effects) -> None:
    """These, by seq, have ended: whatever recovery has made one has something to count."""
    found = db.execute(_MADE, (msgspec.json.encode(deliveries).decode(),)).fetchall()
    effects.recoveries.woken += [Lane(recovery, webhook) for recovery, webhook in found]


def cancel(db: sqlite3.Connection, command: CancelRecovery, now: int, effects: Effects) -> Recovery:
    """From now on nothing that it has made is claimed (`progress.py`)."""
    recovery = recovery_queries.recovery(db, command.id, command.tenant)
    if recovery is None:
        raise NotFound("There is no recovery with this id.")
    if recovery.finished is not None:
        return recovery
    _end(db, "seq = ?", recovery.seq, _ASKED, now, effects)
    lane = db.execute("SELECT webhook FROM recovery_lanes WHERE recovery = ? LIMIT 1", (recovery.seq,)).fetchone()
    if lane is not None:  # those of its other webhooks in their turns
        withdraw(db, recovery.seq, lane[0], now, effects)
    return recovery_queries.by_seq(db, recovery.seq)


def deactivated(db: sqlite3.Connection, webhook: int, now: int, effects: Effects) -> None:
    """What waits for the webhook has been cancelled; no recovery makes more for it, also if it is revived."""
    _end(db, "webhook = ?", webhook, _DEACTIVATED, now, effects)
    ended = db.execute(
        "UPDATE recovery_lanes SET ended = 1 WHERE webhook = ? RETURNING recovery, webhook", (webhook,)
    ).fetchall()
    effects.recoveries.woken += [Lane(*lane) for lane in ended]


def copied(db: sqlite3.Connection, now: int) -> None:
    """On a backup none goes on."""
    db.execute(
        """UPDATE recoveries SET status = 'cancelled', finished = ?, reason = ?, next_webhook = NULL
           WHERE finished IS NULL""",
        (now, _COPIED),
    )


def withdraw(db: sqlite3.Connection, recovery: int, webhook: int, now: int, effects: Effects) -> None:
    """Cancel what a recovery has made for a webhook and nobody has begun."""
    found, tenant = db.execute(_WAITING, (webhook, recovery)).fetchone()
    waiting = _withdrawn.decode(found)
    if not waiting:
        return
    seqs = msgspec.json.encode([delivery.seq for delivery in waiting]).decode()
    db.execute(
        "UPDATE deliveries SET status = 'cancelled', finished = ? WHERE seq IN (SELECT value FROM json_each(?))",
        (now, seqs),
    )
    effects.dequeued(tenant, webhook, len(waiting))
    effects.recoveries.withdrawn += waiting


def forget(db: sqlite3.Connection, command: ForgetRecoveries, now: int, effects: Effects) -> None:
    """Looks at some behind `command.after`, and then begins again at the oldest."""
    last, count = db.execute(_LOOK, (command.after, _LOOKED_AT)).fetchone()
    if count:
        db.execute(_FORGET, (command.after, last, now - _KEPT_AT_LEAST))
    effects.recoveries.looked_through = last if count == _LOOKED_AT else 0


def _end(db: sqlite3.Connection, condition: str, value: int, reason: str, now: int, effects: Effects) -> None:
    ended = db.execute(
        f"""UPDATE recoveries SET status = 'cancelled', finished = ?, reason = ?, next_webhook = NULL
            WHERE {condition} AND finished IS NULL RETURNING seq""",
        (now, reason, value),
    ).fetchall()
    effects.recoveries.ended += [recovery_queries.by_seq(db, seq) for (seq,) in ended]
