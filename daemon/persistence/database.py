"""Opening the file: the one connection that writes, those that read, and how each is set up."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING

from daemon.persistence.schema import migrate, refuse_newer

if TYPE_CHECKING:
    from pathlib import Path

_BUSY_SECONDS = 1.0


class UnusableDatabase(Exception):
    """The file cannot be opened, is not a database, or is damaged; the text says what to do."""


def open_writer(path: Path) -> sqlite3.Connection:
    """The one connection that writes, migrated: WAL, every commit fsynced, checkpoints left to the caller.

    A new file is readable by its owner only. Raises `UnusableDatabase`, `NewerDatabase`."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = _connect(f"file:{_quoted(path)}?mode=rw")
    except (OSError, sqlite3.Error) as error:
        raise UnusableDatabase(_advice(path, error)) from error
    try:
        refuse_newer(connection)  # setting auto_vacuum already writes to the file
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # ignored once the file has pages: keep it before WAL
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        connection.execute("PRAGMA cache_size = -32768")
        connection.execute("PRAGMA temp_store = MEMORY")
        migrate(connection)
    except sqlite3.Error as error:
        connection.close()
        raise UnusableDatabase(_advice(path, error)) from error
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write. Raises sqlite3.Error."""
    connection = _connect(f"file:{_quoted(path)}?mode=ro")
    connection.execute("PRAGMA query_only = 1")
    connection.execute("PRAGMA cache_size = -8192")
    return connection


def _connect(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _advice(path: Path, error: Exception) -> str:
    return (
        f"Cannot use {path} as the database: {error}. Check that storage.path names a file this user may write, in a "
        "folder it may write; if the file is damaged, put a backup in its place."
    )
