"""The writer's connection and the one thread that uses it, each use bounded, on a file that is still where it was."""

from __future__ import annotations

import math
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import trio

from daemon.persistence.database import open_reader
from daemon.persistence.execution import StorageFailed, is_storage_fault
from daemon.persistence.files import Files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")

_BOUND = 120.0
_CLOSING, _CLOSING_LATE = 3.0, 0.5


class StorageStuck(Exception):
    """The disk did not answer within its bound; only a new process can go on."""


class Writer:
    """`busy`: something runs in the thread; `silent`: for how many seconds it has."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._files = Files(path)
        # While another connection is open, closing the one that writes leaves the WAL as it is.
        self._guard = open_reader(path)
        self._guard.execute("SELECT 1 FROM meta").fetchone()
        self._thread = trio.CapacityLimiter(1)
        self._waiting = trio.CancelScope()
        self._deadline = math.inf
        self._since: float | None = None
        self._stuck = False
        self._damage: str | None = None

    @property
    def damaged(self) -> bool:
        """Whether nothing can be written any more, however long one waits."""
        return self._damage is not None

    @property
    def busy(self) -> bool:
        return bool(self._thread.borrowed_tokens)

    @property
    def silent(self) -> float:
        return 0.0 if self._since is None else trio.current_time() - self._since

    @property
    def deadline(self) -> float:
        """When the thread is given up at the latest, whatever it does (trio's clock)."""
        return self._deadline

    @deadline.setter
    def deadline(self, deadline: float) -> None:
        self._deadline = deadline
        self._waiting.deadline = min(self._waiting.deadline, deadline)

    async def run(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Run it in the thread to its end, cancelled or not. Raises `StorageFailed`, `StorageStuck` when it does not
        end (it may yet do what it was to do), and whatever a bug raises."""

        def call() -> T:
            if self._damage is not None:
                raise StorageFailed(self._damage)
            self._files.check()
            result = function(self._connection)
            try:
                self._files.verify()
            except StorageFailed as gone:
                raise StorageFailed(str(gone), unknown=True, damaged=gone.damaged) from gone
            return result

        try:
            return await self._in_thread(call, min(trio.current_time() + _BOUND, self._deadline))
        except sqlite3.Error as error:
            if not is_storage_fault(error):
                raise
            failure = StorageFailed.by(error)
            self._remember(failure)
            raise failure from error
        except StorageFailed as failure:
            self._remember(failure)
            raise

    def _remember(self, failure: StorageFailed) -> None:
        """Other pages may be sound still, but nothing is written any more to a file that is known to be damaged."""
        if failure.damaged:
            self._damage = str(failure)

    async def close(self) -> None:
        """Close the file, bounded, cancelled or not. What has been committed stays, also if this does not end."""
        if not self._stuck:
            now = trio.current_time()
            with suppress(StorageStuck):
                await self._in_thread(self._close, min(now + _CLOSING, max(now + _CLOSING_LATE, self._deadline)))

    def _close(self) -> None:
        """The last connection to close writes the WAL back and deletes it, unless there are no whole files for that:
        then both are left to whoever repairs them. The guard itself cannot write."""
        whole = self._damage is None and not self._files.cut()
        for connection in (self._guard, self._connection) if whole else (self._connection, self._guard):
            connection.close()
        self._files.close()

    async def _in_thread(self, function: Callable[[], T], until: float) -> T:
        self._waiting = trio.CancelScope(shield=True, deadline=until)
        self._since = trio.current_time()
        with self._waiting:
            try:
                return await trio.to_thread.run_sync(function, limiter=self._thread, abandon_on_cancel=True)
            finally:
                self._since = None
        self._stuck = True
        raise StorageStuck("The disk does not answer: what was under way may or may not have been stored.")


def probe(connection: sqlite3.Connection) -> None:
    """A write that changes nothing that counts, fsynced: whether the storage is back. Raises sqlite3.Error."""
    connection.execute("INSERT INTO meta (key, value) VALUES ('probe', 1) ON CONFLICT DO UPDATE SET value = value + 1")
