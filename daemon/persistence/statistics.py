"""How a webhook has fared: its deliveries of a time, counted; the newest `MOST_ROWS` of them at most."""

from __future__ import annotations

from itertools import accumulate
from math import ceil
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from daemon.events import PING
from daemon.model import ErrorCode, Millis, Status
from daemon.persistence.clock_steps import spans
from daemon.persistence.rows import STATUS

if TYPE_CHECKING:
    import sqlite3


MOST_ROWS: Final = 10_000
_EVER = (1 << 63) - 1
_COUNT = f"""
WITH newest AS MATERIALIZED (
    SELECT d.seq, {STATUS} status, d.error, d.created, d.finished - d.started took, d.event_type
    FROM deliveries d INDEXED BY deliveries_webhook CROSS JOIN webhooks w ON w.seq = d.webhook
    WHERE d.webhook = ? AND d.seq BETWEEN ? AND ? ORDER BY d.seq DESC LIMIT ?)
SELECT status, error, took, sum(event_type <> '{PING}' AND created >= ?), count(*), min(created) FROM newest
GROUP BY status, error, took
"""


class Durations(Struct, frozen=True):
    """Milliseconds; None without attempts."""

    p50: int | None
    p95: int | None
    p99: int | None


class Statistics(Struct, frozen=True):
    """Counts by status and by error, of deliveries `created` since `since`, pings aside; `complete` unless there are
    older ones in the window. `durations` are of attempts that succeeded or failed. `failing_since`: when the first
    failure after the last success ended."""

    since: Millis
    complete: bool
    statuses: dict[Status, int]
    errors: dict[ErrorCode, int]
    durations: Durations
    failing_since: Millis | None
    consecutive_failures: int


def statistics(db: sqlite3.Connection, webhook: int, since: Millis) -> Statistics:
    """Raises sqlite3.Error."""
    row = db.execute("SELECT failing_since, consecutive_failures FROM webhooks WHERE seq = ?", (webhook,)).fetchone()
    statuses: dict[Status, int] = {}
    errors: dict[ErrorCode, int] = {}
    durations: dict[int, int] = {}
    left, oldest = MOST_ROWS, _EVER
    for span in spans(db, "deliveries", since, None):
        for status, error, took, matching, count, first in db.execute(_COUNT, (webhook, *span, left, since)):
            left -= count
            oldest = min(first, oldest)
            if not matching:
                continue
            statuses[status] = statuses.get(status, 0) + matching
            if error is not None:
                errors[error] = errors.get(error, 0) + matching
            if status in ("succeeded", "failed"):
                durations[took] = durations.get(took, 0) + matching
        if left <= 0:
            break
    complete = left > 0
    return Statistics(
        since if complete else max(since, oldest), complete, statuses, errors, percentiles(durations), *row
    )


def percentiles(durations: dict[int, int]) -> Durations:
    """By nearest rank; `durations` says how often each was met."""
    values = sorted(durations)
    ranks = list(accumulate(durations[value] for value in values))

    def at(percent: int) -> int | None:
        if not values:
            return None
        wanted = ceil(ranks[-1] * percent / 100)
        return next(value for value, rank in zip(values, ranks, strict=True) if rank >= wanted)

    return Durations(at(50), at(95), at(99))
