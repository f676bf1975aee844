"""What tenant actors do to the database, set-based: record outcomes, put back what never began, claim new work."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from daemon.events import PING
from daemon.instants import rfc3339
from daemon.model import Claimed, Endpoint, Finished, LastDelivery
from daemon.persistence import recovery_ends
from daemon.persistence.bulk import Bulk
from daemon.persistence.commands import Bound, Progress, Progressed
from daemon.persistence.rows import Report

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from daemon.persistence.effects import Effects

# Everything is looked up in one statement, because each one costs the writer's thread its turn at the interpreter
# (DESIGN, "The writer competes for the GIL"). LIMIT cannot refer to an outer row, hence one fixed limit and a cut by
# position. Payloads come as one text beside their rows, in the same order: as JSON they would be escaped and unescaped
# (they are JSON themselves and have no NUL, where `length` would stop).
# A webhook's own limit counts what is `sending`, but for what this batch records: an attempt begins when the one before
# it has ended. What the batch puts back counts: it is older than anything that could be claimed before it.
# What a cancelled recovery has made is not claimed, though withdrawing all of it takes some steps.
_LOOK = """
WITH wanted AS MATERIALIZED (
    SELECT c.value ->> 0 webhook, w.max_concurrent most, CASE WHEN w.max_concurrent IS NULL THEN c.value ->> 1
        ELSE min(c.value ->> 1, max(0, w.max_concurrent - (
            SELECT count(*) FROM deliveries s WHERE s.finished IS NULL AND s.status = 'sending' AND s.webhook = w.seq
            AND s.seq NOT IN (SELECT value FROM json_each(?5))))) END allowed
    FROM json_each(?2) c JOIN webhooks w ON w.seq = c.value ->> 0)
SELECT
    (SELECT json_group_array(d.seq) FROM json_each(?1) j JOIN deliveries d ON d.seq = j.value
     WHERE d.status = 'sending'),
    claimed.rows, coalesce(claimed.payloads, ''),
    (SELECT json_group_array(json_array(w.seq, w.id, t.id, w.url,
         (SELECT json_group_array(hex(key)) FROM (SELECT key FROM secrets s WHERE s.webhook = w.seq
          AND (s.expires IS NULL OR s.expires > ?4) ORDER BY s.created DESC)), w.headers, w.timeout, c.most, c.allowed))
     FROM wanted c JOIN webhooks w ON w.seq = c.webhook JOIN tenants t ON t.seq = w.tenant)
FROM (
    SELECT group_concat(e.payload, '') payloads, json_group_array(json_array(d.seq, d.webhook, d.id, e.id, d.event_type,
        length(e.payload), d.redelivery_of IS NOT NULL, e.traceparent)) rows
    FROM wanted c JOIN webhooks w ON w.seq = c.webhook AND w.active
    JOIN tenants t ON t.seq = w.tenant AND t.active
    JOIN json_each((SELECT json_group_array(seq) FROM (SELECT seq FROM deliveries q WHERE q.finished IS NULL
        AND q.status = 'pending' AND q.webhook = w.seq AND q.seq > w.cancelled_through
        AND NOT EXISTS (SELECT 1 FROM recovery_deliveries o CROSS JOIN recoveries r ON r.seq = o.recovery
                        WHERE o.delivery = q.seq AND r.finished IS NOT NULL)
        ORDER BY q.seq LIMIT ?3))) p
        ON p.key < c.allowed
        AND (c.most IS NOT 1 OR NOT EXISTS (
            SELECT 1 FROM fan_outs f JOIN json_each(f.targets) t ON t.value ->> 2 = w.seq
            WHERE f.next_delivery < p.value))
    JOIN deliveries d ON d.seq = p.value JOIN events e ON e.seq = d.event
) claimed
"""
_RECORD = Bulk(
    """
UPDATE deliveries SET
    status = column2, started = column3, finished = column4, status_code = column5, error = column6, report = column7
FROM (VALUES {rows}) WHERE deliveries.seq = column1
""",
    columns=7,
)
_CLAIM = """
UPDATE deliveries SET status = 'sending', started = ?1, url = (SELECT url FROM webhooks w WHERE w.seq = webhook)
WHERE seq IN (SELECT value FROM json_each(?2))
"""
_COUNT = """
UPDATE webhooks SET delivery_attempts = delivery_attempts + (j.value ->> 1),
    last_delivered = coalesce(j.value ->> 2, last_delivered), last_delivery = j.value ->> 3,
    consecutive_failures = j.value ->> 4 + iif(j.value ->> 2 IS NULL, consecutive_failures, 0),
    failing_since = iif(j.value ->> 2 IS NULL, coalesce(failing_since, j.value ->> 5), j.value ->> 5)
FROM json_each(?) j WHERE webhooks.seq = j.value ->> 0
"""
_PUT_BACK = """
UPDATE deliveries SET status = 'pending', started = NULL, url = NULL WHERE seq IN (SELECT value FROM json_each(?))
"""
_WAITING_AGAIN = """
SELECT d.tenant, d.webhook, sum(d.seq > w.cancelled_through), sum(d.seq <= w.cancelled_through)
FROM json_each(?) j JOIN deliveries d ON d.seq = j.value JOIN webhooks w ON w.seq = d.webhook
JOIN tenants t ON t.seq = d.tenant AND t.removed = 0 GROUP BY d.webhook
"""


class _Count(msgspec.Struct, array_like=True):
    """One webhook's counters, summed over a batch: `last` is the JSON of its `LastDelivery`; `in_a_row` counts the
    failures after the last success, and `since` is when the first of them ended."""

    webhook: int
    failed: int
    succeeded: int | None
    last: str
    in_a_row: int
    since: int | None


class _Found(NamedTuple):
    """What one look at the database says: which of the named rows are still `sending`, what the claims get, and which
    of them were bounded by their webhooks' own limits."""

    sending: frozenset[int]
    claimed: dict[int, list[Claimed]]
    endpoints: dict[int, Endpoint]
    bounds: dict[int, Bound]


_seqs = msgspec.json.Decoder(frozenset[int])
_pending = msgspec.json.Decoder(list[tuple[int, int, str, str, str, int, int, str | None]])
_endpoints = msgspec.json.Decoder(list[tuple[int, str, str, str, list[str], str | None, float | None, int | None, int]])


def progress(db: sqlite3.Connection, commands: Sequence[Progress], now: int, effects: Effects) -> list[Progressed]:
    """Carry out all commands inside the running transaction: outcomes, what is put back, claims.

    What is put back can be claimed by the next batch. Raises sqlite3.Error, after which the transaction must be rolled
    back and the commands kept."""
    finished = [finished for command in commands for finished in command.finished]
    postponed = [delivery.seq for command in commands for delivery in command.postponed]
    found = _look(db, [f.delivery.seq for f in finished], postponed, commands, now)
    recorded = [f for f in finished if f.delivery.seq in found.sending]
    claimed = [delivery.seq for deliveries in found.claimed.values() for delivery in deliveries]
    rows = [_outcome_row(finished) for finished in recorded]
    effects.written += sum(len(row[-1]) for row in rows)
    _RECORD.run(db, rows)
    if claimed:
        db.execute(_CLAIM, (now, _json(claimed)))
    again = [f.delivery.seq for f in recorded if f.delivery.redelivery]
    if again:
        recovery_ends.delivered(db, again, effects)
    counts = _counts(recorded)
    if counts:
        db.execute(_COUNT, (_json(counts),))
    _put_back(db, [seq for seq in postponed if seq in found.sending], effects)
    return [_progressed(command, found, effects) for command in commands]


def _progressed(command: Progress, found: _Found, effects: Effects) -> Progressed:
    own = [delivery for claim in command.claims for delivery in found.claimed.get(claim.webhook, ())]
    for claim in command.claims:
        if deliveries := found.claimed.get(claim.webhook):
            effects.claimed(command.tenant, claim.webhook, [delivery.event for delivery in deliveries])
    return Progressed(
        recorded=found.sending & {finished.delivery.seq for finished in command.finished},
        postponed=found.sending & {delivery.seq for delivery in command.postponed},
        claimed=own,
        endpoints={delivery.webhook: found.endpoints[delivery.webhook] for delivery in own},
        bounds={c.webhook: found.bounds[c.webhook] for c in command.claims if c.webhook in found.bounds},
    )


def _look(
    db: sqlite3.Connection, finished: list[int], postponed: list[int], commands: Sequence[Progress], now: int
) -> _Found:
    claims = [claim for command in commands for claim in command.claims]
    most = max((claim.limit for claim in claims), default=0)
    ended = _json(finished)
    named = _json(finished + postponed) if postponed else ended
    sending, rows, payloads, found = db.execute(_LOOK, (named, _json(claims), most, now, ended)).fetchone()
    endpoints: dict[int, Endpoint] = {}
    bounds: dict[int, Bound] = {}
    for seq, id, tenant, url, keys, headers, timeout, own, allowed in _endpoints.decode(found):
        secrets = tuple(bytes.fromhex(key) for key in keys)
        endpoints[seq] = Endpoint(seq, id, tenant, url, secrets, headers, timeout)
        if own is not None:
            bounds[seq] = Bound(own, allowed)
    return _Found(_seqs.decode(sending), _claimed(rows, payloads), endpoints, bounds)


def _claimed(rows: str, payloads: str) -> dict[int, list[Claimed]]:
    """By webhook, the oldest first. `payloads` has those of all rows, one after another."""
    found: list[Claimed] = []
    start = 0
    for seq, webhook, id, event, event_type, length, redelivery, traceparent in _pending.decode(rows):
        end = start + length
        found.append(Claimed(seq, webhook, id, event, event_type, payloads[start:end], bool(redelivery), traceparent))
        start = end
    found.sort(key=attrgetter("seq"))
    claimed: dict[int, list[Claimed]] = {}
    for delivery in found:
        claimed.setdefault(delivery.webhook, []).append(delivery)
    return claimed


def _outcome_row(finished: Finished) -> tuple[int, str, int, int, int | None, str | None, str]:
    outcome = finished.outcome
    report = Report(
        outcome.error_detail,
        outcome.timings,
        outcome.remote_address,
        outcome.reused_connection,
        outcome.response_headers,
        outcome.response_body,
        outcome.response_body_truncated,
    )
    return (
        finished.delivery.seq,
        outcome.status,
        outcome.started,
        outcome.finished,
        outcome.status_code,
        outcome.error,
        _json(report),
    )


def _counts(finished: Iterable[Finished]) -> list[_Count]:
    """Sum what attempts change on their webhooks; pings touch no counter (CONTRACT §4)."""
    last: dict[int, Finished] = {}
    failed: dict[int, int] = {}
    succeeded: dict[int, int] = {}
    runs: dict[int, list[int]] = {}
    for item in finished:
        webhook, outcome = item.delivery.webhook, item.outcome
        if item.delivery.event_type == PING:
            continue
        last[webhook] = item
        if outcome.status == "failed":
            failed[webhook] = failed.get(webhook, 0) + 1
            runs.setdefault(webhook, []).append(outcome.finished)
        elif outcome.status == "succeeded":
            succeeded[webhook] = max(outcome.finished, succeeded.get(webhook, 0))
            runs.pop(webhook, None)
    return [
        _Count(
            webhook,
            failed.get(webhook, 0),
            succeeded.get(webhook),
            _last_delivery(item),
            len(run := runs.get(webhook, [])),
            run[0] if run else None,
        )
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
    rows = _json(seqs)
    db.execute(_PUT_BACK, (rows,))
    for tenant, webhook, waiting, cancelled in db.execute(_WAITING_AGAIN, (rows,)).fetchall():
        if waiting:
            effects.postponed(tenant, webhook, waiting)
        if cancelled:
            effects.cancelling.add(webhook)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
