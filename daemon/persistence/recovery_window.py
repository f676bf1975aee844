"""Which of the deliveries that did not arrive are to be redelivered: looked up a few at a time, decided purely.

One is, unless the event has since reached its webhook, or is on its way, or has been attempted again since the recovery
began (by the recovery itself, by another, by a person): however many failed deliveries an event has, and however many
recoveries run, it is redelivered once. Pings are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from daemon.events import PING
from daemon.model import Millis, Recoverable

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence

STEP_ROWS: Final = 200
"""Deliveries that are examined in one step."""

# Both halves go along the index, which has all that is needed to go past; LIMIT keeps one of them from reading on.
_AHEAD = "SELECT created, seq, status FROM deliveries WHERE webhook = :webhook AND status IN ('failed', 'interrupted')"
# The newest twenty that came after say enough, and somebody may have redelivered one event a million times.
WINDOW = f"""
WITH ahead AS MATERIALIZED (
    SELECT * FROM ({_AHEAD} AND created = :created AND seq > :delivery
        AND :created < :until ORDER BY created, seq LIMIT :rows)
    UNION ALL
    SELECT * FROM ({_AHEAD} AND created > :created AND created < :until ORDER BY created, seq LIMIT :rows)
    ORDER BY created, seq LIMIT :rows)
SELECT json_group_array(json_array(a.created, a.seq, a.status, d.event, CASE
    WHEN a.seq > :last OR d.event_type = '{PING}' OR NOT EXISTS (SELECT 1 FROM events e WHERE e.seq = d.event) THEN 1
    ELSE EXISTS (SELECT 1 FROM (
        SELECT l.seq, l.status FROM deliveries l WHERE l.event = d.event AND l.webhook = :webhook
        AND l.redelivery_of IS NOT NULL AND l.seq > a.seq ORDER BY l.seq DESC LIMIT 20) l
        WHERE l.status IN ('succeeded', 'sending') OR (l.status = 'pending' AND l.seq > :cancelled)
        OR (l.status IN ('failed', 'interrupted') AND l.seq > :last)) END))
FROM ahead a CROSS JOIN deliveries d ON d.seq = a.seq
"""


class Range(Struct, frozen=True):
    """What a recovery is about, of one webhook: `last` is the newest delivery when it began, `cancelled` the webhook's
    high-water mark."""

    webhook: int
    until: Millis
    statuses: tuple[Recoverable, ...]
    last: int
    cancelled: int


class Position(Struct, frozen=True):
    """The delivery that was examined last: they are in the order of their creation."""

    created: Millis
    delivery: int = 0


class Candidate(Struct, frozen=True, array_like=True):
    """A delivery that is met. `settled`: it is not to be redelivered, whatever its status."""

    created: Millis
    seq: int
    status: Recoverable
    event: int
    settled: bool


class Decision(Struct, frozen=True):
    """`chosen` are to be redelivered; `ended`: there is none behind `position`."""

    position: Position
    examined: int
    chosen: list[int]
    ended: bool

    @property
    def skipped(self) -> int:
        return self.examined - len(self.chosen)


_candidates = msgspec.json.Decoder(list[Candidate], strict=False)  # SQLite's truth is 1


def window(db: sqlite3.Connection, chosen: Range, position: Position, rows: int = STEP_ROWS) -> list[Candidate]:
    """At most so many that come next. Raises sqlite3.Error."""
    names = {
        "webhook": chosen.webhook,
        "created": position.created,
        "delivery": position.delivery,
        "until": chosen.until,
        "last": chosen.last,
        "cancelled": chosen.cancelled,
        "rows": rows,
    }
    (found,) = db.execute(WINDOW, names).fetchone()
    return sorted(_candidates.decode(found), key=lambda candidate: (candidate.created, candidate.seq))


def decide(
    candidates: Sequence[Candidate],
    position: Position,
    statuses: Collection[Recoverable],
    *,
    room: int,
    rows: int = STEP_ROWS,
) -> Decision:
    """Of what a window of `rows` has shown, at most `room`. It stops before one for which there is no room."""
    examined, chosen, events = 0, list[int](), set[int]()
    for candidate in candidates:
        if candidate.status in statuses:
            if not candidate.settled and candidate.event not in events:
                if len(chosen) >= room:
                    return Decision(position, examined, chosen, ended=False)
                chosen.append(candidate.seq)
                events.add(candidate.event)
            examined += 1
        position = Position(candidate.created, candidate.seq)
    return Decision(position, examined, chosen, ended=len(candidates) < rows)
