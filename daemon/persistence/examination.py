"""Whether a database is sound, without changing anything, also while a daemon runs on it."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING

from daemon.persistence.database import UnusableDatabase, advice, open_reader, refuse_anothers_wal
from daemon.persistence.schema import NewerDatabase, refuse_newer

if TYPE_CHECKING:
    from pathlib import Path

_STEPS_BETWEEN_LOOKS = 20_000


class Damaged(Exception):
    """It is damaged, no database, not this program's, or cannot be read; the text says which and what to do."""


class Unfinished(Exception):
    """Nothing was found wrong, but not all was looked at in time."""


def examine(path: Path, seconds: float) -> None:
    """Look at every page for at most `seconds`: while somebody reads, the write-ahead log only grows.

    Raises `Damaged`, `Unfinished`."""
    still = not _wal(path)
    try:
        _look(path, seconds, immutable=still)
    except Damaged:
        if not (still and _wal(path)):
            raise
        # A daemon has been started meanwhile, and has written to what was taken for still.
        _look(path, seconds, immutable=False)


def _wal(path: Path) -> bool:
    real = path.resolve()
    return real.with_name(real.name + "-wal").exists()


def _look(path: Path, seconds: float, *, immutable: bool) -> None:
    try:
        refuse_anothers_wal(path)
        reader = open_reader(path, immutable=immutable)
    except (UnusableDatabase, sqlite3.Error) as error:
        raise Damaged(_said(path, error)) from error
    deadline = time.monotonic() + seconds
    reader.set_progress_handler(lambda: int(time.monotonic() > deadline), _STEPS_BETWEEN_LOOKS)
    try:
        refuse_newer(reader)
        (verdict,) = reader.execute("PRAGMA quick_check(1)").fetchone()
        # The marks of ours: another program's database is sound, and no use.
        reader.execute("SELECT value FROM meta WHERE key = 'copy'").fetchone()
    except NewerDatabase as newer:
        raise Damaged(str(newer)) from newer
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_INTERRUPT:
            raise Unfinished from error
        raise Damaged(_said(path, error)) from error
    finally:
        reader.close()
    if verdict != "ok":
        raise Damaged(f"{path}: {verdict}: stop the daemon and put a backup in its place.")


def _said(path: Path, error: Exception) -> str:
    return str(error) if isinstance(error, UnusableDatabase) else advice(path, error)
