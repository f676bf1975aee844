"""Rows of a time without looking at all of them: `created` grows with `seq`, but where the wall clock was set back.

`clock_steps` has the numbers of the first delivery and event after each such place. Between two of them a moment is
found by halving; what is older than the first (rows of an earlier version of the daemon) must be looked at row by row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import sqlite3

    from daemon.model import Millis

Table = Literal["deliveries", "events"]

SLACK: Millis = 1000
"""By so much a clock goes back without a step that is noted."""

_LAST = (1 << 63) - 1
_MOST_STEPS = 50  # a clock that is set back all the time: what is older is looked at row by row
_NEXT = "coalesce((SELECT seq FROM sqlite_sequence WHERE name = '{}'), 0) + 1"
_NEWEST = """
SELECT max(coalesce((SELECT created FROM deliveries ORDER BY seq DESC LIMIT 1), 0),
    coalesce((SELECT created FROM events ORDER BY seq DESC LIMIT 1), 0))
"""


class Span(NamedTuple):
    """Rows from `first` to `last`, both included."""

    first: int
    last: int


EVERYTHING = Span(1, _LAST)


class ClockSteps:
    """Notes them, in the writer's thread."""

    def __init__(self, db: sqlite3.Connection) -> None:
        # The rows before the newest may be younger than it, by what is no step.
        self._latest: Millis = db.execute(_NEWEST).fetchone()[0] + SLACK

    def note(self, db: sqlite3.Connection, now: Millis) -> None:
        """Inside the transaction whose rows are to be `created` now. Raises sqlite3.Error."""
        if now < self._latest - SLACK:
            values = f"{_NEXT.format('deliveries')}, {_NEXT.format('events')}"
            db.execute(f"INSERT OR REPLACE INTO clock_steps VALUES ({values})")

    def committed(self, now: Millis) -> None:
        self._latest = now if now < self._latest - SLACK else max(now, self._latest)


def spans(db: sqlite3.Connection, table: Table, since: Millis | None, until: Millis | None) -> list[Span]:
    """Where all rows created in that time are, the newest first; others may be there too. Raises sqlite3.Error."""
    if since is None and until is None:
        return [EVERYTHING]
    column = "delivery" if table == "deliveries" else "event"
    query = f"SELECT DISTINCT {column} FROM clock_steps ORDER BY {column} DESC LIMIT {_MOST_STEPS}"
    (newest,) = db.execute(f"SELECT coalesce(max(seq), 0) FROM {table}").fetchone()
    found: list[Span] = []
    end = newest
    for (begin,) in db.execute(query).fetchall():
        first = begin if since is None else _seek(db, table, Span(begin, end), since - SLACK)
        last = end if until is None else _seek(db, table, Span(begin, end), until + SLACK) - 1
        found.append(Span(first, last))
        end = begin - 1
    found.append(Span(1, end))
    return [span for span in found if span.first <= span.last]


def _seek(db: sqlite3.Connection, table: Table, span: Span, at: Millis) -> int:
    """The first place in the span from which on its rows are created at that time or later."""
    low, high = span.first, span.last + 1
    query = f"SELECT seq, created FROM {table} WHERE seq >= ? AND seq < ? ORDER BY seq LIMIT 1"
    while low < high:
        middle = (low + high) // 2
        row = db.execute(query, (middle, high)).fetchone()
        if row is not None and row[1] < at:
            low = row[0] + 1
        else:
            high = middle
    return low
