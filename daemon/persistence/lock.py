"""One daemon per database: an exclusive lock on `<path>.lock`, from before migration until exit (CONTRACT §8.2)."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from daemon.persistence.database import UnusableDatabase, advice

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


class DatabaseLocked(Exception):
    """Another daemon holds the database."""


def lock_of(database: Path) -> Path:
    """A link to a database is that database."""
    real = database.resolve()
    return real.with_name(real.name + ".lock")


@contextmanager
def exclusive(database: Path) -> Generator[None]:
    """Hold the lock. The kernel drops it when the process dies, so the file itself is left in place: removing it
    would let two daemons lock two files of one name.

    Raises `DatabaseLocked`, `UnusableDatabase` (no lock file can be made there)."""
    path = lock_of(database)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UnusableDatabase(advice(database, error)) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DatabaseLocked(
                f"Another daemon is running on {database} (it holds {path}). "
                "Stop it, or set storage.path to another file."
            ) from None
        yield
    finally:
        os.close(descriptor)
