"""What tenant actors do to the database, set-based: record outcomes, put back what never began, claim new work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from daemon.events import PING
from daemon.instants import rfc3339
from daemon.model import Claimed, Endpoint, Finished, LastDelivery
from daemon.persistence.commands import Claim, Progress, Progressed

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from daemon.persistence.effects import Effects

_STILL_SENDING = """
SELECT json_group_array(d.seq) FROM json_each(?) j JOIN deliveries d ON d.seq = j.value WHERE d.status = 'sending'
"""
_RECORD = """
UPDATE deliveries SET
    status = j.value ->> 1, started = j.value ->> 2, finished = j.value ->> 3, status_code = j.value ->> 4,
    error = j.value ->> 5, error_detail = j.value ->> 6, timings = j.value ->> 7, remote_address = j.value ->> 8,
    reused_connection = j.value ->> 9, response_headers = j.value ->> 10, response_body = j.value ->> 11,
    response_body_truncated = j.value ->> 12
FROM json_each(?) j WHERE deliveries.seq = j.value ->> 0
"""
_COUNT = """
UPDATE webhooks SET delivery_attempts = delivery_attempts + (j.value ->> 1),
    last_delivered = coalesce(j.value ->> 2, last_delivered), last_delivery = j.value ->> 3
FROM json_each(?) j WHERE webhooks.seq = j.value ->> 0
"""
_PUT_BACK = """
UPDATE deliveries SET status = 'pending', started = NULL, url = NULL
WHERE seq IN (SELECT value FROM json_each(?)) AND status = 'sending'
"""
_ENDPOINTS = """
SELECT json_group_array(json_array(w.seq, w.id, t.id, w.url,
    (SELECT json_group_array(hex(key)) FROM (SELECT key FROM secrets s WHERE s.webhook = w.seq
     AND (s.expires IS NULL OR s.expires > ?) ORDER BY s.created DESC))))
FROM json_each(?) c JOIN webhooks w ON w.seq = c.value JOIN tenants t ON t.seq = w.tenant
"""
# LIMIT cannot refer to an outer row, hence one fixed limit and a cut by position.
_OLDEST_PENDING = """
SELECT json_group_array(json_array(d.seq, d.webhook, d.id, e.id, d.event_type, e.payload, d.redelivery_of IS NOT NULL))
FROM json_each(?1) c JOIN webhooks w ON w.seq = c.value ->> 0 AND w.active
JOIN tenants t ON t.seq = w.tenant AND t.active
JOIN json_each((SELECT json_group_array(seq) FROM (SELECT seq FROM deliveries q WHERE q.finished IS NULL
    AND q.status = 'pending' AND q.webhook = w.seq AND q.seq > w.cancelled_through ORDER BY q.seq LIMIT ?2))) p
    ON p.key < c.value ->> 1
JOIN deliveries d ON d.seq = p.value JOIN events e ON e.seq = d.event
"""
_CLAIM = """
UPDATE deliveries SET status = 'sending', started = ?,
    url = (SELECT url FROM webhooks w WHERE w.seq = deliveries.webhook)
WHERE seq IN (SELECT value FROM json_each(?))
"""


class _Count(msgspec.Struct, array_like=True):
    """One webhook's counters, summed over a batch: `last` is the JSON of its `LastDelivery`."""

    webhook: int
    failed: int
    succeeded: int | None
    last: str


_seqs = msgspec.json.Decoder(frozenset[int])
_claimed = msgspec.json.Decoder(list[tuple[int, int, str, str, str, str, int]])
_endpoints = msgspec.json.Decoder(list[tuple[int, str, str, str, list[str]]])


def progress(db: sqlite3.Connection, commands: Sequence[Progress], now: int, effects: Effects) -> list[Progressed]:
    """Carry out all commands inside the running transaction: outcomes, then what is put back, then claims.

    Raises sqlite3.Error, after which the transaction must be rolled back and the commands kept."""
    recorded = record(db, [finished for command in commands for finished in command.finished])
    _put_back(db, [delivery.seq for command in commands for delivery in command.postponed], effects)
    claimed, endpoints = _claim(db, commands, now, effects)
    results: list[Progressed] = []
    for command in commands:
        own = [delivery for claim in command.claims for delivery in claimed.get(claim.webhook, ())]
        results.append(
            Progressed(
                recorded & {finished.delivery.seq for finished in command.finished},
                own,
                {delivery.webhook: endpoints[delivery.webhook] for delivery in own},
            )
        )
    return results


def record(db: sqlite3.Connection, finished: Sequence[Finished]) -> frozenset[int]:
    """Write outcomes over rows that are still `sending`, and their webhooks' counters; returns the seqs written."""
    if not finished:
        return frozenset()
    (still,) = db.execute(_STILL_SENDING, (_json([f.delivery.seq for f in finished]),)).fetchone()
    winners = _seqs.decode(still)
    won = [f for f in finished if f.delivery.seq in winners]
    if won:
        db.execute(_RECORD, (_json([_outcome_row(f) for f in won]),))
        counts = _counts(won)
        if counts:
            db.execute(_COUNT, (_json(counts),))
    return winners


def _outcome_row(finished: Finished) -> tuple[object, ...]:
    outcome = finished.outcome
    headers = outcome.response_headers
    return (
        finished.delivery.seq,
        outcome.status,
        outcome.started,
        outcome.finished,
        outcome.status_code,
        outcome.error,
        outcome.error_detail,
        msgspec.json.encode(outcome.timings).decode(),
        outcome.remote_address,
        outcome.reused_connection,
        None if headers is None else msgspec.json.encode(headers).decode(),
        # SQLite's JSON text ends at a NUL; like other bytes that are no text it becomes U+FFFD.
        None if outcome.response_body is None else outcome.response_body.replace("\0", "\ufffd"),
        outcome.response_body_truncated,
    )


def _counts(finished: Iterable[Finished]) -> list[_Count]:
    """Sum what attempts change on their webhooks; pings touch no counter (CONTRACT §4)."""
    last: dict[int, Finished] = {}
    failed: dict[int, int] = {}
    succeeded: dict[int, int] = {}
    for item in finished:
        webhook, outcome = item.delivery.webhook, item.outcome
        if item.delivery.event_type == PING:
            continue
        last[webhook] = item
        if outcome.status == "failed":
            failed[webhook] = failed.get(webhook, 0) + 1
        elif outcome.status == "succeeded":
            succeeded[webhook] = max(outcome.finished, succeeded.get(webhook, 0))
    return [
        _Count(webhook, failed.get(webhook, 0), succeeded.get(webhook), _last_delivery(item))
        for webhook, item in last.items()
    ]


def _last_delivery(item: Finished) -> str:
    outcome = item.outcome
    return msgspec.json.encode(
        LastDelivery(item.delivery.id, outcome.status, outcome.status_code, outcome.error, rfc3339(outcome.finished))
    ).decode()


def _put_back(db: sqlite3.Connection, seqs: list[int], effects: Effects) -> None:
    if not seqs:
        return
    (still,) = db.execute(_STILL_SENDING, (_json(seqs),)).fetchone()
    db.execute(_PUT_BACK, (still,))
    for tenant, webhook, waiting, cancelled in db.execute(
        """SELECT d.tenant, d.webhook, sum(d.seq > w.cancelled_through), sum(d.seq <= w.cancelled_through)
           FROM json_each(?) j JOIN deliveries d ON d.seq = j.value JOIN webhooks w ON w.seq = d.webhook
           GROUP BY d.webhook""",
        (still,),
    ):
        if waiting:
            effects.postponed(tenant, webhook, waiting)
        if cancelled:
            effects.cancelling.add(webhook)


def _claim(
    db: sqlite3.Connection, commands: Sequence[Progress], now: int, effects: Effects
) -> tuple[dict[int, list[Claimed]], dict[int, Endpoint]]:
    claims: list[Claim] = [claim for command in commands for claim in command.claims]
    if not claims:
        return {}, {}
    most = max(claim.limit for claim in claims)
    (found,) = db.execute(_OLDEST_PENDING, (_json(claims), most)).fetchone()
    rows = sorted(_claimed.decode(found))
    if not rows:
        return {}, {}
    claimed: dict[int, list[Claimed]] = {}
    for seq, webhook, id, event, event_type, payload, redelivery in rows:
        delivery = Claimed(seq, webhook, id, event, event_type, payload, bool(redelivery))
        claimed.setdefault(webhook, []).append(delivery)
    db.execute(_CLAIM, (now, _json([row[0] for row in rows])))
    (found,) = db.execute(_ENDPOINTS, (now, _json(list(claimed)))).fetchone()
    endpoints = {
        seq: Endpoint(seq, id, tenant, url, tuple(bytes.fromhex(key) for key in keys))
        for seq, id, tenant, url, keys in _endpoints.decode(found)
    }
    owners = {claim.webhook: command.tenant for command in commands for claim in command.claims}
    for webhook, deliveries in claimed.items():
        effects.claimed(owners[webhook], webhook, len(deliveries))
    return claimed, endpoints


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
