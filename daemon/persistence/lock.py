"""One daemon per database: an exclusive lock on `<path>.lock`, from before migration until exit (CONTRACT §8.2)."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.persistence.database import UnusableDatabase, advice

if TYPE_CHECKING:
    from collections.abc import Generator

_LOCKS = Path("/proc/locks")


class DatabaseLocked(Exception):
    """Another daemon holds the database."""


def lock_of(database: Path) -> Path:
    """A link to a database is that database."""
    real = Path(os.path.realpath(database))  # unlike resolve() also of a link to itself
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


def holder(database: Path) -> int | None:
    """The process that holds the lock, without taking it for even a moment, which could keep a daemon from starting;
    None if none does, or one that is out of sight (another container's)."""
    try:
        lock = lock_of(database).stat()
        table = _LOCKS.read_text(encoding="ascii")
    except OSError:
        return None
    for pid in holders(table, lock.st_ino):
        if _has_open(pid, lock):
            return pid
    return None


def holders(table: str, inode: int) -> list[int]:
    """The processes with an exclusive flock(2) on a file of this inode, of any file system, by proc_locks(5)."""
    found: list[int] = []
    for line in table.splitlines():
        # 1: FLOCK  ADVISORY  WRITE 1234 08:01:131087 0 EOF
        fields = line.split()
        if fields[1:2] == ["FLOCK"] and fields[3:4] == ["WRITE"] and fields[5].rpartition(":")[2] == str(inode):
            found.append(int(fields[4]))
    return found


def _has_open(pid: int, file: os.stat_result) -> bool:
    """True also if it may not be looked at: the inode is enough then."""
    try:
        opened = [entry.path for entry in os.scandir(f"/proc/{pid}/fd")]
    except PermissionError:
        return True
    except OSError:
        return False
    for path in opened:
        with suppress(OSError):
            if os.path.samestat(os.stat(path), file):
                return True
    return False
