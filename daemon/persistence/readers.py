"""Read-only connections and the threads they run in: bounded in number, each query bounded in time."""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import trio

from daemon.persistence.database import open_reader
from daemon.refusals import StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

P = ParamSpec("P")
T = TypeVar("T")

_CONNECTIONS = 4
_SECONDS = 5.0
_STEPS_BETWEEN_LOOKS = 20_000


class Readers:
    """A long read pins the WAL, so none may be long."""

    def __init__(self, path: Path, seconds: float = _SECONDS) -> None:
        self._path = path
        self._seconds = seconds
        self._limiter = trio.CapacityLimiter(_CONNECTIONS)
        self._idle: list[sqlite3.Connection] = []
        self._closed = False

    @property
    def busy(self) -> bool:
        return bool(self._limiter.borrowed_tokens)

    async def read(
        self, query: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run the query in a thread. Raises `StorageUnavailable`.

        Cancellation leaves it to its thread, which counts until it has ended: a disk that does not answer ends no
        read, whatever its bound."""

        def run() -> T:
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = open_reader(self._path)
            deadline = time.monotonic() + self._seconds
            connection.set_progress_handler(lambda: int(time.monotonic() > deadline), _STEPS_BETWEEN_LOOKS)
            try:
                result = query(connection, *args, **kwargs)
            except BaseException:
                connection.close()
                raise
            self._idle.append(connection)
            if self._closed:
                self.close()
            return result

        try:
            return await trio.to_thread.run_sync(run, limiter=self._limiter, abandon_on_cancel=True)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                raise StorageUnavailable(
                    f"Reading took longer than {self._seconds:g} s. Narrow the request with since, until or limit."
                ) from error
            raise StorageUnavailable(f"The database cannot be read: {error}.") from error
        except sqlite3.DatabaseError as error:
            raise StorageUnavailable(f"The database cannot be read: {error}.") from error

    def close(self) -> None:
        """Those in use are closed by their threads."""
        self._closed = True
        self.close_idle()

    def close_idle(self) -> None:
        """Give up those that nobody uses, and their caches; from any thread."""
        with suppress(IndexError):
            while True:
                self._idle.pop().close()
