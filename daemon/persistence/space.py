"""Room on the disk: what the database takes and what is left. Publishing stops before the last of it is gone, so that
outcomes can still be recorded."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_SECONDS_BETWEEN_LOOKS = 0.5


class FreeSpace:
    """`least`: bytes that must be free on the database's file system."""

    def __init__(self, database: Path, least: int) -> None:
        self._database = database.resolve()
        self._folder = database.absolute().parent
        self.least = least
        self._looked = float("-inf")
        self._free: int | None = None
        self._shortage: str | None = None

    def shortage(self) -> str | None:
        """A sentence about what is short, or None; looks at most twice a second."""
        self._refresh()
        return self._shortage

    def free(self) -> int | None:
        """Bytes, None if the disk cannot be looked at; looks at most twice a second."""
        self._refresh()
        return self._free

    def size(self) -> dict[str, int]:
        """Bytes of the database (`main`) and of its write-ahead log (`wal`); a file that cannot be looked at has 0."""
        wal = self._database.with_name(self._database.name + "-wal")
        return {"main": _bytes(self._database), "wal": _bytes(wal)}

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._looked >= _SECONDS_BETWEEN_LOOKS:
            self._looked = now
            self._shortage = self._look()

    def _look(self) -> str | None:
        try:
            status = os.statvfs(self._folder)
        except OSError as error:
            self._free = None
            return f"The disk cannot be looked at: {error.strerror}."
        free = self._free = status.f_bavail * status.f_frsize
        if free >= self.least:
            return None
        return f"The disk has {free} bytes left, fewer than storage.min_free_bytes ({self.least}): make room."


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
