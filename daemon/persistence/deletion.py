"""Events deleted with their deliveries a few rows at a time, and the room they took given back to the disk.

None of this has to be fsynced: what a power cut undoes is done again, and the next commit carries it. `synced` all the
same while there is no such commit, since the first one would have to wait for all of it.
An event with more deliveries than a step may delete goes first, alone: nothing shows a delivery without its event. The
event's number stays in `meta` until they are gone too.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from daemon.persistence.expiry import Line
from daemon.persistence.transaction import transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator, Sequence

    from daemon.model import Millis
    from daemon.persistence.expiry import Place

# Both loops go along an index, so that the rows before the place cost nothing.
_WINDOW = """
SELECT json_group_array(json_array(event, created, keyed, promised, delivery, finished)) FROM (
    SELECT e.seq event, e.created, e.idempotency_key IS NOT NULL keyed,
        EXISTS (SELECT 1 FROM fan_outs f WHERE e.seq BETWEEN f.first_event AND f.last_event) promised,
        d.seq delivery,
        iif(EXISTS (SELECT 1 FROM recovery_deliveries r WHERE r.delivery = d.seq), NULL, d.finished) finished
    FROM events e LEFT JOIN deliveries d ON d.event = e.seq AND d.seq > iif(e.seq = ?1, ?2, 0)
    WHERE e.seq BETWEEN ?1 AND ?3 ORDER BY e.seq, d.seq LIMIT ?4)
"""
_SIZE = "SELECT page_count, freelist_count, page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
_NEWEST = """
SELECT max(at) FROM (
    SELECT at FROM (SELECT created at FROM events ORDER BY seq DESC LIMIT 1)
    UNION ALL
    SELECT at FROM (SELECT max(created, coalesce(finished, 0)) at FROM deliveries ORDER BY seq DESC LIMIT 1))
"""
HIDDEN = "hidden_event"
"""The key in `meta` of an event that is gone while deliveries of it are not."""

_lines = msgspec.json.Decoder(list[Line], strict=False)  # SQLite's truth is 1


class Deleted(NamedTuple):
    """How many of each."""

    events: int
    deliveries: int

    def plus(self, more: Deleted) -> Deleted:
        return Deleted(self.events + more.events, self.deliveries + more.deliveries)


class Size(NamedTuple):
    """In pages of `page` bytes: all that the file has, and those of them that hold nothing."""

    pages: int
    free: int
    page: int

    @property
    def used(self) -> int:
        """Bytes."""
        return (self.pages - self.free) * self.page


def window(db: sqlite3.Connection, place: Place, last: int, rows: int) -> list[Line]:
    """At most so many lines from the place on, through the event `last`. Raises sqlite3.Error."""
    (found,) = db.execute(_WINDOW, (place.event, place.delivery, last, rows)).fetchone()
    return _lines.decode(found)


def delete(db: sqlite3.Connection, events: Sequence[int], *, synced: bool) -> Deleted:
    """All of them, and all their deliveries, in one transaction. Raises sqlite3.Error."""
    chosen = (msgspec.json.encode(events).decode(),)
    with _syncing(db, synced), transaction(db):
        deliveries = db.execute("DELETE FROM deliveries WHERE event IN (SELECT value FROM json_each(?))", chosen)
        gone = db.execute("DELETE FROM events WHERE seq IN (SELECT value FROM json_each(?))", chosen)
    return Deleted(gone.rowcount, deliveries.rowcount)


def hide(db: sqlite3.Connection, event: int, *, synced: bool) -> Deleted:
    """Delete the event, and remember that its deliveries are yet to be: `sweep_hidden`. Raises sqlite3.Error."""
    with _syncing(db, synced), transaction(db):
        db.execute("INSERT INTO meta (key, value) VALUES (?, ?)", (HIDDEN, event))
        gone = db.execute("DELETE FROM events WHERE seq = ?", (event,))
    return Deleted(gone.rowcount, 0)


def hidden(db: sqlite3.Connection) -> int | None:
    """The event that is gone while deliveries of it are not. Raises sqlite3.Error."""
    found = db.execute("SELECT value FROM meta WHERE key = ?", (HIDDEN,)).fetchone()
    return None if found is None else found[0]


def sweep_hidden(db: sqlite3.Connection, event: int, rows: int, *, synced: bool) -> Deleted:
    """Delete at most so many of its deliveries; fewer are deleted when none is left. Raises sqlite3.Error."""
    with _syncing(db, synced), transaction(db):
        gone = db.execute(
            "DELETE FROM deliveries WHERE seq IN (SELECT seq FROM deliveries WHERE event = ? ORDER BY seq LIMIT ?)",
            (event, rows),
        ).rowcount
        if gone < rows:
            db.execute("DELETE FROM meta WHERE key = ?", (HIDDEN,))
    return Deleted(0, gone)


def give_back(db: sqlite3.Connection, pages: int, *, synced: bool) -> None:
    """Move so many pages from the end of the file into free ones, so that the next checkpoint makes it shorter.

    Raises sqlite3.Error."""
    with _syncing(db, synced):
        # As a script: SQLite answers with a row for each page, and sqlite3 gives up the interpreter for each row.
        db.executescript(f"PRAGMA incremental_vacuum({pages})")


def size(db: sqlite3.Connection) -> Size:
    """Raises sqlite3.Error."""
    return Size(*db.execute(_SIZE).fetchone())


def newest(db: sqlite3.Connection) -> Millis | None:
    """The latest date of what was stored last, or None if nothing was. Raises sqlite3.Error."""
    return db.execute(_NEWEST).fetchone()[0]


@contextmanager
def _syncing(db: sqlite3.Connection, synced: bool) -> Generator[None]:
    if synced:
        yield
        return
    db.execute("PRAGMA synchronous = NORMAL")
    try:
        yield
    finally:
        db.execute("PRAGMA synchronous = FULL")
