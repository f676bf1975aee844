"""When all is quiet after work: what the work has left in memory is given back, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.operations.process import give_back

if TYPE_CHECKING:
    import sqlite3

    from daemon.persistence.readers import Readers

# Between the first look that finds nothing done and the second is a second in which nothing was: not in mid-work.
_LOOKS = 2


class Rest:
    """Five connections cache up to 40 MB of pages; what they want of them later is in the system's cache as well."""

    def __init__(self, connection: sqlite3.Connection, readers: Readers) -> None:
        self._connection = connection
        self._readers = readers
        self._looks = 0

    def disturbed(self) -> None:
        """Something was written or read."""
        self._looks = 0

    def due(self) -> bool:
        """Asked at each look."""
        self._looks = 0 if self._readers.busy else self._looks + 1
        return self._looks == _LOOKS

    def take(self) -> None:
        """In the writer's thread. Raises sqlite3.Error."""
        self._readers.close_idle()
        self._connection.execute("PRAGMA shrink_memory")
        give_back()
