"""Whether what is committed will be found again: SQLite goes on writing to files that are gone, or cut, under it."""

from __future__ import annotations

import mmap
import os
import struct
import time
from typing import TYPE_CHECKING, NamedTuple

from daemon.persistence.database import HEADER_BYTES, size_by_header
from daemon.persistence.execution import StorageFailed
from daemon.persistence.lock import lock_of

if TYPE_CHECKING:
    from pathlib import Path

_LOCK_SECONDS = 1.0
# https://www.sqlite.org/walformat.html: the WAL's header and those of its frames; of its index, the version, the page
# size (1 is 65,536), the numbers of frames that count and of the database's pages, and the salts of the WAL's header.
_WAL_HEADER, _FRAME_HEADER = 32, 24
_WAL_SALTS = 16
_INDEX = struct.Struct("=I10xHII8x8s")
_INDEX_VERSION = 3007000


class _Needed(NamedTuple):
    """How many bytes the database will have when all of the WAL is written back, how many the WAL has to have now (0:
    nothing in it counts), and the salts in the WAL's header."""

    database: int
    wal: int
    salts: bytes


class Files:
    """Which files the database's names meant when it was opened, and how long they have to be.

    Closed after the connections: closing any descriptor of the database or the WAL's index drops SQLite's locks on it
    (POSIX)."""

    def __init__(self, path: Path) -> None:
        self._path = os.path.realpath(path)
        self._wal = f"{self._path}-wal"
        self._lock = str(lock_of(path))
        self._opened = {name: _identity(_status(name)) for name in (self._path, self._wal, self._lock)}
        self._lengths = {self._path: 0, self._wal: 0}
        self._looked_at_lock = time.monotonic()
        self._database_descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        self._descriptor = os.open(self._wal, os.O_RDONLY | os.O_CLOEXEC)
        self._index_descriptor = os.open(f"{self._path}-shm", os.O_RDONLY | os.O_CLOEXEC)
        self._index = mmap.mmap(self._index_descriptor, _INDEX.size, access=mmap.ACCESS_READ)

    def close(self) -> None:
        self._index.close()
        for descriptor in (self._index_descriptor, self._descriptor, self._database_descriptor):
            os.close(descriptor)

    def check(self) -> None:
        """Before a transaction. Raises `StorageFailed`: nothing should be written here."""
        for name in (self._path, self._wal):
            status = self._same(name)
            if status is not None:
                if status.st_size < self._lengths[name]:
                    self._refuse_cut(name, status.st_size)
                self._lengths[name] = status.st_size
        now = time.monotonic()
        if now - self._looked_at_lock >= _LOCK_SECONDS and self._opened[self._lock] is not None:
            self._same(self._lock)
            self._looked_at_lock = now

    def verify(self) -> None:
        """After a commit. Raises `StorageFailed`: what was written may be nowhere."""
        status = os.fstat(self._descriptor)
        if not status.st_nlink:
            raise StorageFailed(_gone(self._wal))
        # A WAL that was emptied meanwhile has grown long again, but begins with nothing.
        salts, needed = os.pread(self._descriptor, 8, _WAL_SALTS), self._needed()
        if status.st_size < needed.wal or (needed.wal and salts != needed.salts):
            raise _cut(self._wal)
        self._lengths[self._wal] = status.st_size

    def cut(self) -> bool:
        """Whether a checkpoint would copy what is no longer there, or into what is no longer whole."""
        try:
            self.check()
        except StorageFailed as failure:
            return failure.damaged
        return False

    def _needed(self) -> _Needed:
        version, page, frames, pages, salts = _INDEX.unpack_from(self._index)
        if version != _INDEX_VERSION:
            return _Needed(0, 0, b"")
        size = 65536 if page == 1 else page
        return _Needed(pages * size, frames and _WAL_HEADER + frames * (_FRAME_HEADER + size), salts)

    def _refuse_cut(self, name: str, size: int) -> None:
        """A checkpoint by another connection may empty the WAL, and after a VACUUM make the database shorter: each no
        shorter than it has to be. A commit since then may need pages of the database that it has in the WAL alone."""
        needed = self._needed()
        if name == self._wal:
            least = needed.wal
        else:
            written = size_by_header(os.pread(self._database_descriptor, HEADER_BYTES, 0))
            least = min(needed.database, written or needed.database)
        if size < least:
            raise _cut(name)

    def _same(self, name: str) -> os.stat_result | None:
        status = _status(name)
        if _identity(status) != self._opened[name]:
            raise StorageFailed(_gone(name))
        return status


def _gone(name: str) -> str:
    return f"{name} was deleted, moved or replaced while it was in use: move it back, or stop the daemon"


def _cut(name: str) -> StorageFailed:
    why = f"{name} was cut short while it was in use: stop the daemon and put a backup in the database's place"
    return StorageFailed(why, damaged=True)


def _status(name: str) -> os.stat_result | None:
    try:
        return os.stat(name)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageFailed(f"{name} cannot be looked at: {error.strerror}") from error


def _identity(status: os.stat_result | None) -> tuple[int, int] | None:
    return None if status is None else (status.st_dev, status.st_ino)
