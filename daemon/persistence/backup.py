"""A copy of a database that may be in use, marked so that a daemon on it sends nothing by itself (CONTRACT §8.2)."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING

from daemon.persistence.database import UnreadableDatabase, exists, open_reader

if TYPE_CHECKING:
    from pathlib import Path

_PAGES_A_STEP = 2048


class BackupError(Exception):
    """No copy was made; the text says why and what to do."""


def backup(source: Path, target: Path) -> None:
    """Copy `source` to the new file `target` (mode 0600): consistent, checked, fsynced. Raises `BackupError`.

    A daemon may be running on `source`; it is not held up."""
    try:
        found = exists(source)
    except UnreadableDatabase as unreadable:
        raise BackupError(str(unreadable)) from None
    if not found:
        raise BackupError(f"There is no database at {source}. Check storage.path.")
    try:
        os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        raise BackupError(f"{target} exists. Name a new file: a backup overwrites nothing.") from None
    except OSError as error:
        raise BackupError(f"Cannot write {target}: {error.strerror}.") from None
    # The name stays empty until the copy is whole and marked: a daemon that finds it earlier finds nothing to send.
    partial = target.with_name(f"{target.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        _copy(source, partial)
        _sync(partial)
        _verify(partial)
        partial.replace(target)
        _sync(target.absolute().parent)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        target.unlink(missing_ok=True)
        if isinstance(error, (sqlite3.Error, OSError)):
            raise BackupError(f"The copy of {source} to {target} failed: {error}.") from error
        raise


def _copy(source: Path, target: Path) -> None:
    reader = open_reader(source)
    try:
        copy = sqlite3.connect(target, isolation_level=None)
        try:
            # One snapshot, which the first read takes: else each write of a busy daemon makes the copy start over.
            reader.execute("BEGIN")
            reader.execute("SELECT 1 FROM meta").fetchone()
            reader.backup(copy, pages=_PAGES_A_STEP)
            reader.execute("COMMIT")
            copy.execute("PRAGMA journal_mode = DELETE")
            copy.execute("UPDATE meta SET value = 1 WHERE key = 'copy'")
        finally:
            copy.close()
    finally:
        reader.close()


def _verify(copy: Path) -> None:
    """Open it anew and read all of it, from the disk as far as the kernel lets go of what it has in memory."""
    descriptor = os.open(copy, os.O_RDONLY)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
    reader = open_reader(copy)
    try:
        (verdict,) = reader.execute("PRAGMA quick_check(1)").fetchone()
        (marked,) = reader.execute("SELECT value FROM meta WHERE key = 'copy'").fetchone()
    finally:
        reader.close()
    if verdict != "ok" or not marked:
        raise BackupError(
            f"The copy cannot be read back as it was written ({verdict}), so there is none. See whether the database "
            "is sound (tenant-webhooks check); if it is, copy it to another disk."
        )


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
