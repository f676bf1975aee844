"""What a start finds: attempts that a crash cut off, and copies made by `backup`, which send nothing by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from daemon.events import PING
from daemon.instants import rfc3339
from daemon.model import LastDelivery
from daemon.persistence import fan_out, recovery_ends
from daemon.persistence.rows import Report
from daemon.persistence.transaction import transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

_DETAIL = "The daemon stopped while this attempt was under way: it may or may not have arrived."
_COPY_DETAIL = (
    "The daemon started on a backup: what waited or was under way when the copy was made is not sent by itself."
)
# The clock may have been set back meanwhile.
_ENDED = "max(coalesce(started, 0), ?)"
_NOT_CANCELLED = """(status = 'sending'
    OR seq > (SELECT cancelled_through FROM webhooks w WHERE w.seq = deliveries.webhook))"""


class Interrupted(Struct, frozen=True):
    """A delivery that was found `sending` and is now `interrupted`."""

    tenant: str
    webhook: str
    id: str
    event: str
    event_type: str


class Recovered(Struct, frozen=True):
    """`interrupted`: after a crash, each of them. `copied`: on a backup, how many were made `interrupted`."""

    interrupted: list[Interrupted]
    copied: int


def recover(db: sqlite3.Connection, now: int) -> Recovered:
    """Make the deliveries that were promised, turn `sending` (on a marked copy `pending` too) into `interrupted` and
    unmark the copy, in one transaction.

    Raises sqlite3.Error, having changed nothing."""
    with transaction(db):
        fan_out.complete(db, now)
        (copy,) = db.execute("SELECT value FROM meta WHERE key = 'copy'").fetchone()
        interrupted = [] if copy else _sending(db)
        _set_last_delivery(db, now, waiting_too=bool(copy))
        condition = "status IN ('sending', 'pending')" if copy else "status = 'sending'"
        changed = db.execute(
            f"""UPDATE deliveries SET status = 'interrupted', finished = {_ENDED}, report = ?
                WHERE finished IS NULL AND {condition} AND {_NOT_CANCELLED}""",
            (now, msgspec.json.encode(Report(_COPY_DETAIL if copy else _DETAIL)).decode()),
        ).rowcount
        if copy:
            recovery_ends.copied(db, now)
        db.execute("UPDATE meta SET value = 0 WHERE key = 'copy'")
    return Recovered(interrupted, changed if copy else 0)


def _sending(db: sqlite3.Connection) -> list[Interrupted]:
    return [
        Interrupted(*row)
        for row in db.execute(
            """SELECT t.id, w.id, d.id, e.id, d.event_type FROM deliveries d JOIN webhooks w ON w.seq = d.webhook
               JOIN events e ON e.seq = d.event JOIN tenants t ON t.seq = d.tenant
               WHERE d.finished IS NULL AND d.status = 'sending' ORDER BY d.seq"""
        )
    ]


def _set_last_delivery(db: sqlite3.Connection, now: int, *, waiting_too: bool) -> None:
    """`interrupted` shows in `lastDelivery` only, and pings in no counter (CONTRACT §4)."""
    states = "('sending', 'pending')" if waiting_too else "('sending')"
    found: Iterable[tuple[int, str, int]] = db.execute(
        f"""SELECT webhook, id, {_ENDED} FROM deliveries WHERE seq IN (
                SELECT max(seq) FROM deliveries WHERE finished IS NULL AND status IN {states} AND event_type <> ?
                AND {_NOT_CANCELLED} GROUP BY webhook)""",
        (now, PING),
    ).fetchall()
    db.executemany(
        "UPDATE webhooks SET last_delivery = ? WHERE seq = ?",
        [
            (msgspec.json.encode(LastDelivery(id, "interrupted", None, None, rfc3339(ended))).decode(), webhook)
            for webhook, id, ended in found
        ],
    )
