"""When the WAL is written back into the database, so that it stays short however much is written and read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import trio

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable

PAGE_BYTES = 4096
# An estimate, since sqlite3 does not tell the WAL's length before a checkpoint. To copy a megabyte delays nobody
# noticeably. The more is written, the longer it is gathered: what changes often is then copied less often.
_PAGES_BETWEEN = 250
_SECONDS_FOR_THEM = 0.1
_PRESSING = 4000
_PAGES_OF_A_COMMIT = 8
_PAGES_OF_A_ROW = 0.5
# From so many on the WAL has to start over.
_ENOUGH = 2_000
_LONG = 16_000
# What the writer may have to copy itself, and how often that is tried for: a flood writes as fast as it is copied.
_PAGES_LEFT = 100
_MORE_COPIES = 2


class Copied(NamedTuple):
    """How many pages the WAL had, and how many of them the database has now."""

    pages: int
    copied: int


class Checkpoints:
    """Another connection copies the WAL beside the writer. Only a WAL of which nothing is left to copy starts over, so
    when it has become long enough the writer copies what was committed meanwhile.

    Neither takes a lock that anybody waits for, unless the WAL is very long: readers that overlap without end keep it
    from ever starting over. Then the writer waits for those that read now, for as long as SQLite's busy time-out, and
    when they outlast that (a backup does) not again before the WAL has doubled."""

    def __init__(self) -> None:
        self._pages = 0.0
        self._long = _LONG
        self._wanted, self._pressing = trio.Event(), trio.Event()
        self._finish: trio.Event | None = None

    @property
    def due(self) -> bool:
        """Whether it is the writer's turn."""
        return self._finish is not None

    def wrote(self, rows: float, size: int = 0) -> None:
        """A commit wrote about so many rows, and values of `size` bytes."""
        self._pages += _PAGES_OF_A_COMMIT + rows * _PAGES_OF_A_ROW + size / PAGE_BYTES
        if self._pages >= _PAGES_BETWEEN:
            self._wanted.set()
        if self._pages >= _PRESSING:
            self._pressing.set()

    async def run(self, copy: Callable[[], Awaitable[Copied | None]], tell: Callable[[], None]) -> None:
        """Have it copied beside the writer whenever that is wanted, and `tell` when it is the writer's turn, also if
        nothing could be copied. Until cancelled, which ends a copy as `copy` says."""
        while True:
            await self._wanted.wait()
            self._wanted, self._pressing = trio.Event(), trio.Event()
            gathered = self._pages
            done = await self._once(copy)
            for _ in range(_MORE_COPIES):
                if done is not None and self._pages > _PAGES_LEFT:
                    done = await self._once(copy)
            if done is None or (done.pages >= _ENOUGH and (self._pages or done.copied < done.pages)):
                self._finish = trio.Event()
                tell()
                await self._finish.wait()
            with trio.move_on_after(_SECONDS_FOR_THEM * gathered / _PAGES_BETWEEN):
                await self._pressing.wait()

    async def _once(self, copy: Callable[[], Awaitable[Copied | None]]) -> Copied | None:
        self._pages = 0.0
        return await copy()

    def finish(self, connection: sqlite3.Connection) -> Callable[[], None]:
        """The writer's part, in its thread; what it returns, in the event loop. Raises sqlite3.Error."""
        _, length, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if length >= self._long:
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
            self._long = 2 * length if busy else _LONG
        return self._finished

    def _finished(self) -> None:
        self._pages = 0.0
        if self._finish is not None:
            self._finish.set()
            self._finish = None
