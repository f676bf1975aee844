"""A backup is one moment of the database, marked before anybody can start on it (CONTRACT §8.2)."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING

import pytest

from daemon.persistence import backup as backups
from daemon.persistence.backup import BackupError, backup
from daemon.persistence.database import open_writer

if TYPE_CHECKING:
    from pathlib import Path


def fill(connection: sqlite3.Connection, rows: int) -> None:
    connection.execute("CREATE TABLE ballast (block BLOB)")
    connection.execute(
        """WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
           INSERT INTO ballast SELECT randomblob(4000) FROM n""",
        (rows,),
    )


def test_a_copy_of_a_database_that_is_being_written_does_not_start_over(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "_PAGES_A_STEP", 1)
    connection = open_writer(path)
    fill(connection, 3000)
    connection.execute("PRAGMA synchronous = OFF")  # so many writes that one falls between any two steps of the copy
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            connection.execute("UPDATE ballast SET block = randomblob(4000) WHERE rowid = 1")

    busy = threading.Thread(target=write)
    busy.start()
    copied = threading.Thread(target=backup, args=(path, tmp_path / "copy.db"), daemon=True)
    copied.start()
    copied.join(5)
    ended = not copied.is_alive()
    done.set()
    busy.join()
    copied.join()
    connection.close()
    assert ended


def test_there_is_no_moment_at_which_a_copy_has_its_name_but_not_its_mark(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen at every statement that SQLite is about to run on the copy: the name holds nothing yet."""
    open_writer(path).close()
    copy = tmp_path / "copy.db"
    sizes: list[int] = []
    connect = sqlite3.connect

    def observed(*args: object, **kwargs: object) -> sqlite3.Connection:
        connection = connect(*args, **kwargs)  # type: ignore[call-overload] -- passed through
        connection.set_trace_callback(lambda _: sizes.append(copy.stat().st_size))
        return connection

    monkeypatch.setattr(backups.sqlite3, "connect", observed)
    backup(path, copy)
    assert len(sizes) > 3
    assert set(sizes) == {0}
    assert [file.name for file in tmp_path.iterdir() if "copy" in file.name] == ["copy.db"]
    marked = connect(copy)
    assert marked.execute("SELECT value FROM meta WHERE key = 'copy'").fetchone() == (1,)
    marked.close()


def test_a_copy_that_cannot_be_read_back_is_none(path: Path, tmp_path: Path) -> None:
    connection = open_writer(path)
    fill(connection, 300)
    connection.close()
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xff" * 8192)
    with pytest.raises(BackupError, match="tenant-webhooks check"):
        backup(path, tmp_path / "copy.db")
    assert [file.name for file in tmp_path.iterdir() if "copy" in file.name] == []
