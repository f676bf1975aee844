"""When the WAL is written back into the database, so that it stays short however much is written and read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable

PAGE_BYTES = 4096
# An estimate, since sqlite3 does not tell the WAL's length before a checkpoint: about 16 MB of it between two.
_PAGES_BETWEEN = 4000
_PAGES_OF_A_COMMIT = 8
_PAGES_OF_A_ROW = 0.5
_LONG = 16_000
# What the writer may have to copy itself, and how often that is tried for: a flood writes as fast as it is copied.
_PAGES_LEFT = 250
_COPIES = 3


class Checkpoints:
    """Another connection copies the WAL beside the writer; the writer what was committed meanwhile, since only a WAL
    of which nothing is left to copy starts over.

    Neither takes a lock that anybody waits for, unless the WAL has become long: readers that overlap without end keep
    it from ever starting over. Then the writer waits for those that read now, for as long as SQLite's busy time-out,
    and when they outlast that (a backup does) not again before the WAL has doubled."""

    def __init__(self) -> None:
        self._pages = 0.0
        self._long = _LONG
        self._wanted = trio.Event()
        self._copied = False

    @property
    def due(self) -> bool:
        """Whether it is the writer's turn."""
        return self._copied

    def wrote(self, rows: float, size: int = 0) -> None:
        """A commit wrote about so many rows, and values of `size` bytes."""
        self._pages += _PAGES_OF_A_COMMIT + rows * _PAGES_OF_A_ROW + size / PAGE_BYTES
        if self._pages >= _PAGES_BETWEEN:
            self._wanted.set()

    async def run(self, copy: Callable[[], Awaitable[None]], tell: Callable[[], None]) -> None:
        """Have it copied beside the writer whenever that is wanted, and `tell` that it is the writer's turn. Until
        cancelled, which ends a copy as `copy` says."""
        while True:
            await self._wanted.wait()
            for _ in range(_COPIES):
                self._pages = 0.0
                await copy()
                if self._pages <= _PAGES_LEFT:
                    break
            self._wanted, self._copied = trio.Event(), True
            tell()

    def finish(self, connection: sqlite3.Connection) -> Callable[[], None]:
        """The writer's part, in its thread; what it returns, in the event loop. Raises sqlite3.Error."""
        _, length, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if length >= self._long:
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
            self._long = 2 * length if busy else _LONG
        return self._finished

    def _finished(self) -> None:
        self._pages, self._copied = 0.0, False
