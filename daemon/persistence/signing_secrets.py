"""The keys that sign a webhook's deliveries: one is in force without end, those before it until their overlap ends.

A claim takes those that are live at its moment (`progress.py`); the newest signs first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from daemon.model import Millis, SigningSecret
from daemon.persistence import queries
from daemon.refusals import Conflict, LimitReached, NotFound

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from daemon.persistence.commands import RotateSecret
    from daemon.persistence.effects import Effects
    from daemon.settings import Limits

MOST_LIVE: Final = 5
"""Each is a signature in the header of every delivery, and costs its time there and at the receiver."""


def rotate(
    db: sqlite3.Connection, command: RotateSecret, now: Millis, effects: Effects, limits: Limits
) -> list[SigningSecret]:
    """What signs from the next claim on, the newest first."""
    webhook = queries.webhook(db, command.webhook, command.tenant)
    if webhook is None:
        raise NotFound("There is no webhook with this id.")
    kept = rotated(queries.secrets(db, webhook.seq), command.key, now, command.overlap)
    db.execute("DELETE FROM secrets WHERE webhook = ?", (webhook.seq,))
    db.executemany(
        "INSERT INTO secrets (webhook, created, expires, key) VALUES (?, ?, ?, ?)",
        [(webhook.seq, secret.created, secret.expires, secret.key) for secret in kept],
    )
    return kept


def rotated(secrets: Sequence[SigningSecret], key: bytes, now: Millis, overlap: Millis) -> list[SigningSecret]:
    """The secrets of a webhook, the newest first, once `key` is in force: the others end when `overlap` does, or before
    that if they would have anyway. Those that have ended are left out: a clock set back cannot revive them.

    Raises `Conflict` if `key` is in force already, `LimitReached`."""
    if any(secret.key == key and secret.expires is None for secret in secrets):
        raise Conflict("This secret is in force already. Give another, or none to have one made.", pointer="/secret")
    end = now + overlap
    older = [
        SigningSecret(secret.key, secret.created, end if secret.expires is None else min(secret.expires, end))
        for secret in secrets
        if secret.key != key
    ]
    live = [secret for secret in older if secret.expires is not None and secret.expires > now]
    if len(live) >= MOST_LIVE:
        raise LimitReached(
            f"{len(live)} secrets of this webhook would still sign beside the new one, {MOST_LIVE - 1} may. Wait "
            'until one has ended, or end all older ones now: "overlapHours": 0.'
        )
    # Two may come in one millisecond, and the clock may have been set back: newer is greater all the same.
    created = max([now, *(secret.created + 1 for secret in secrets)])
    return [SigningSecret(key, created, None), *live]


def delete_expired(db: sqlite3.Connection, now: Millis) -> int:
    """In a transaction of its own, if there are any; answers how many."""
    if not db.execute("SELECT 1 FROM secrets WHERE expires <= ? LIMIT 1", (now,)).fetchone():
        return 0
    return db.execute("DELETE FROM secrets WHERE expires <= ?", (now,)).rowcount
