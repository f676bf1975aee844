"""Opening the file: the one connection that writes, those that read, and how each is set up."""

from __future__ import annotations

import os
import sqlite3
import stat
import struct
from typing import TYPE_CHECKING

from daemon.persistence.schema import migrate, refuse_newer, version

if TYPE_CHECKING:
    from pathlib import Path

_BUSY_SECONDS = 1.0
HEADER_BYTES = 100


class UnusableDatabase(Exception):
    """The file cannot be opened, is not a database, or is damaged; the text says what to do."""


class UnreadableDatabase(Exception):
    """This user may not read the file; the text says why and what to do."""


def advice(path: Path, error: Exception) -> str:
    """What an operator is told of an error that keeps the daemon from starting on this file: short, for a log line."""
    why = error.strerror if isinstance(error, OSError) and error.strerror else error
    if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_CORRUPT:
        return f"{path}: {why}: put a backup in its place."
    return (
        f"{path}: {why}. storage.path must name a file this user may write, in a folder it may write; "
        "if the file is damaged, put a backup in its place."
    )


def exists(path: Path) -> bool:
    """Whether there is a file. Raises `UnreadableDatabase` if it cannot be read, or not even be looked for."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        path.open("rb").close()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        who = "Run this as the user that the daemon runs as, or as root."
        cure = who if isinstance(error, PermissionError) else "Name another."
        raise UnreadableDatabase(f"{path} cannot be read: {error.strerror}. {cure}") from None
    return True


def open_writer(path: Path) -> sqlite3.Connection:
    """The one connection that writes, migrated: WAL, every commit fsynced, checkpoints left to the caller.

    A new file is readable by its owner only. Raises `UnusableDatabase`, `NewerDatabase`."""
    refuse_anothers_wal(path)
    _refuse_cut(path)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = _connect(f"file:{_quoted(path)}?mode=rw")
    except (OSError, sqlite3.Error) as error:
        raise UnusableDatabase(advice(path, error)) from error
    try:
        refuse_newer(connection)
        if not version(connection):  # it writes to the file, though it changes nothing once that has pages
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # must come before WAL
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        connection.execute("PRAGMA cache_size = -8192")
        connection.execute("PRAGMA temp_store = MEMORY")
        migrate(connection)
    except sqlite3.Error as error:
        connection.close()
        raise UnusableDatabase(advice(path, error)) from error
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path, *, immutable: bool = False) -> sqlite3.Connection:
    """A connection that cannot write. Only on a database that is `immutable`, nobody writing to it, does it make no
    files beside it either. Raises sqlite3.Error."""
    connection = _connect(f"file:{_quoted(path)}?mode=ro{'&immutable=1' if immutable else ''}")
    connection.execute("PRAGMA query_only = 1")
    connection.execute("PRAGMA cache_size = -8192")
    return connection


def refuse_anothers_wal(path: Path) -> None:
    """SQLite would delete the WAL beside a database that is gone, all that may be left of that, and would apply it to
    a backup put in its place, which is no database afterwards. Raises `UnusableDatabase`."""
    real = path.resolve()
    wal = real.with_name(real.name + "-wal")
    try:
        size = wal.stat().st_size if wal.exists() else None
        versions = _versions(real) if real.exists() else b""
    except OSError as error:
        raise UnusableDatabase(advice(path, error)) from error
    if size is None:
        return
    if not versions:
        raise UnusableDatabase(
            f"{path} is missing or empty, but its {wal.name} is there: put the database back, "
            "or move that file away to start with an empty one."
        )
    if size and versions == b"\1\1":  # 2 in what a daemon has opened
        raise UnusableDatabase(
            f"{path} is a backup, and {wal.name} belongs to the database that was there before: move that file away."
        )


def _refuse_cut(path: Path) -> None:
    """What is missing at the end of a file is not noticed before somebody looks for it. A kill in the middle of a
    checkpoint leaves one that is short too, and all that is missing in its WAL. Raises `UnusableDatabase`."""
    try:
        header = _header(path) if path.exists() else b""
        pages, size = size_by_header(header), path.stat().st_size if header else 0
        if size >= pages:
            return
        reader = open_reader(path)
        try:
            (found,) = reader.execute("PRAGMA quick_check(1)").fetchone()
        finally:
            reader.close()
    except (OSError, sqlite3.Error) as error:
        raise UnusableDatabase(advice(path, error)) from error
    if found != "ok":
        raise UnusableDatabase(f"{path} has {size} of {pages} bytes and is malformed: put a backup in its place.")


def _versions(database: Path) -> bytes:
    """https://www.sqlite.org/fileformat2.html#file_format_version_numbers; empty if the file is. Raises OSError."""
    return _header(database)[18:20]


def size_by_header(header: bytes) -> int:
    """How many bytes all pages are, as of the last checkpoint, by the header (same page, 1.3.2 and 1.3.7)."""
    if not header.startswith(b"SQLite format 3\0") or len(header) < HEADER_BYTES:
        return 0
    (size,) = struct.unpack_from(">H", header, 16)
    (count,) = struct.unpack_from(">I", header, 28)
    return count * (65536 if size == 1 else size)


def _header(database: Path) -> bytes:
    """Raises OSError."""
    with database.open("rb") as file:
        return file.read(HEADER_BYTES)


def _connect(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
