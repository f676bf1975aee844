"""When the WAL is written back into the database, so that it stays short however much is written and read."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

PAGE_BYTES = 4096
# An estimate, since sqlite3 does not tell the length of the WAL before one. To copy so many, or 250, takes 2 ms, most
# of it for two fsyncs; four times as many take up to 8, and save next to nothing.
_PAGES_BETWEEN = 1000
_PAGES_OF_A_COMMIT = 8
_PAGES_OF_A_ROW = 0.5
_LONG = 16_000


class Checkpoints:
    """The writer makes them: before SQLite 3.51.3 one beside another connection's commit may leave part of the WAL out
    of the database (https://sqlite.org/wal.html#walresetbug).

    A checkpoint takes no lock that anybody waits for, unless the WAL has become long: readers that overlap without
    end keep it from ever starting over. Then it waits for those that read now, for as long as SQLite's busy time-out,
    and when they outlast that (a backup does) not again before the WAL has doubled."""

    def __init__(self) -> None:
        self._pages = 0.0
        self._long = _LONG

    @property
    def due(self) -> bool:
        return self._pages >= _PAGES_BETWEEN

    def wrote(self, rows: float, size: int = 0) -> None:
        """A commit wrote about so many rows, and values of `size` bytes."""
        self._pages += _PAGES_OF_A_COMMIT + rows * _PAGES_OF_A_ROW + size / PAGE_BYTES

    def run(self, connection: sqlite3.Connection) -> None:
        """Raises sqlite3.Error."""
        _, length, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if length >= self._long:
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
            self._long = 2 * length if busy else _LONG
        self._pages = 0.0
