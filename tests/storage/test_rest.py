"""Once all is quiet the store keeps no pages of the file in memory, and no connection that nobody uses."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.persistence import housekeeping
from daemon.persistence.database import open_writer
from daemon.persistence.readers import Readers
from daemon.persistence.rest import Rest
from tests.system.harness.waiting import eventually

if TYPE_CHECKING:
    import pytest

    from tests.storage.stores import Store

BYTES = 4_000_000


def bytes_read() -> int:
    """By this thread, from files: proc(5)."""
    (line,) = [line for line in Path("/proc/thread-self/io").read_text().splitlines() if line.startswith("rchar:")]
    return int(line.split()[1])


def reads(connection: sqlite3.Connection) -> int:
    """How many bytes of the file it takes to look at what `filled` wrote."""
    before = bytes_read()
    connection.execute("SELECT sum(length(value)) FROM meta").fetchone()
    return bytes_read() - before


def is_closed(connection: sqlite3.Connection) -> bool:
    try:
        return connection.total_changes < 0
    except sqlite3.ProgrammingError:
        return True


def test_the_writer_keeps_its_pages_until_it_rests(path: Path) -> None:
    writer = open_writer(path)
    writer.execute("INSERT INTO meta (key, value) VALUES ('filler', ?)", ("a" * BYTES,))
    reads(writer)
    assert reads(writer) < BYTES / 100
    Rest(writer, Readers(path)).take()
    assert reads(writer) > BYTES
    writer.close()


def test_rest_is_due_once_after_work_and_not_in_the_midst_of_it(path: Path) -> None:
    writer = open_writer(path)
    rest = Rest(writer, Readers(path))
    assert [rest.due() for _ in range(4)] == [False, True, False, False]
    for _ in range(3):
        rest.disturbed()
        assert not rest.due()
    assert [rest.due() for _ in range(3)] == [True, False, False]
    writer.close()


async def test_rest_is_not_due_while_somebody_reads(path: Path) -> None:
    writer, readers = open_writer(path), Readers(path)
    rest = Rest(writer, readers)
    assert await readers.read(lambda _: [rest.due() for _ in range(3)]) == [False, False, False]
    assert [rest.due() for _ in range(2)] == [False, True]
    readers.close()
    writer.close()


async def test_a_reader_that_nobody_uses_is_closed_after_a_while_and_made_anew(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "LOOK_SECONDS", 0.01)
    for _ in range(2):
        reader = await store.actor.read(lambda connection: connection)

        async def closed(reader: sqlite3.Connection = reader) -> bool:
            return is_closed(reader)

        await eventually(closed, "the reader is closed")
