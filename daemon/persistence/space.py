"""Room on the disk: publishing stops before the last of it is gone, so that outcomes can still be recorded."""

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
        self._folder = database.absolute().parent
        self._least = least
        self._looked = float("-inf")
        self._shortage: str | None = None

    def shortage(self) -> str | None:
        """A sentence about what is short, or None; looks at most twice a second."""
        now = time.monotonic()
        if now - self._looked >= _SECONDS_BETWEEN_LOOKS:
            self._looked = now
            self._shortage = self._look()
        return self._shortage

    def _look(self) -> str | None:
        try:
            status = os.statvfs(self._folder)
        except OSError as error:
            return f"The disk cannot be looked at: {error.strerror}."
        free = status.f_bavail * status.f_frsize
        if free >= self._least:
            return None
        return f"The disk has {free} bytes left, fewer than storage.min_free_bytes ({self._least}): make room."
