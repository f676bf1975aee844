"""How a recovery begins: one row, and a lane for its webhook; those of a larger one are found a hundred at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from daemon.identifiers import new_recovery_id
from daemon.persistence import queries, recovery_ends, recovery_queries, recovery_steps
from daemon.persistence.activity import refuse_inactive_tenant, refuse_inactive_webhook
from daemon.persistence.recovery_changes import Lane
from daemon.refusals import LimitReached, NotFound

if TYPE_CHECKING:
    import sqlite3

    from daemon.model import Recovery
    from daemon.persistence.commands import StartRecovery
    from daemon.persistence.effects import Effects

_MOST_RUNNING = 10
_MOST_KEPT = 1000
_KEPT_AT_ONCE = 10


def start(db: sqlite3.Connection, command: StartRecovery, now: int, effects: Effects) -> Recovery:
    tenant, webhook = command.tenant, None
    if command.webhook is not None:
        found = queries.webhook(db, command.webhook, tenant)
        if found is None:
            raise NotFound("There is no webhook with this id.")
        refuse_inactive_webhook(db, found.seq)
        tenant, webhook = found.tenant, found.seq
    elif tenant is not None:
        refuse_inactive_tenant(db, tenant)
    _refuse_one_more(db, tenant)
    _make_room(db, tenant)
    cursor = db.execute(
        """INSERT INTO recoveries (id, tenant, webhook, since, until, statuses, last_delivery, status, created,
               next_webhook, total)
           VALUES (?, ?, ?, ?, ?, ?, coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'deliveries'), 0),
               'running', ?, ?, ?)""",
        (
            new_recovery_id(now),
            tenant,
            webhook,
            command.since,
            min(command.until, now),  # what is created later is none of its business
            msgspec.json.encode(command.statuses).decode(),
            now,
            None if webhook else 1,
            command.total,
        ),
    )
    seq = cursor.lastrowid
    assert seq is not None
    if webhook is not None:
        db.execute(
            "INSERT INTO recovery_lanes (recovery, webhook, position_created) VALUES (?, ?, ?)",
            (seq, webhook, command.since),
        )
        effects.recoveries.opened[Lane(seq, webhook)] = tenant
        over = False
    else:  # the first hundred at once: from now on their deactivation ends it for them
        over = recovery_steps.find_webhooks(db, seq, effects).next == "over"
        if not over:
            effects.recoveries.opened[Lane(seq, 0)] = tenant
    effects.recoveries.started.append(recovery_queries.by_seq(db, seq))
    if over:
        recovery_ends.complete(db, seq, now, effects)
    return recovery_queries.by_seq(db, seq)


def _refuse_one_more(db: sqlite3.Connection, tenant: int | None) -> None:
    (running,) = db.execute(
        "SELECT count(*) FROM recoveries WHERE tenant IS ? AND finished IS NULL", (tenant,)
    ).fetchone()
    if running >= _MOST_RUNNING:
        raise LimitReached(
            f"{running} recoveries are running, which is as many as may at a time. Wait until one has ended, or cancel "
            "one: DELETE /v1/recoveries/{id}."
        )


def _make_room(db: sqlite3.Connection, tenant: int | None) -> None:
    """The oldest that have ended go: jobs are for ever cheap to start."""
    db.execute(
        """DELETE FROM recoveries WHERE seq IN (
               SELECT seq FROM recoveries WHERE tenant IS ?1 ORDER BY seq DESC LIMIT ?2 OFFSET ?3)
           AND finished IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM recovery_lanes l WHERE l.recovery = recoveries.seq)""",
        (tenant, _KEPT_AT_ONCE, _MOST_KEPT - 1),
    )
