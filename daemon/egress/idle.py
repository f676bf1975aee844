"""Connections that wait for their next request: kept for one webhook each, and not for long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

if TYPE_CHECKING:
    from daemon.egress.connection import Connection, Origin

# Of the peer's hint: its clock started before ours, and its close must not cross our next request.
_SHARE_OF_HINT: Final = 0.5


class IdleConnections:
    """Keeps at most `limit` connections, each for at most `keep_alive` seconds; 0 keeps none.

    `run` closes what has expired; without it, that happens when they are taken or pushed out."""

    def __init__(self, keep_alive: float, limit: int) -> None:
        self._keep_alive = keep_alive
        self._limit = limit
        self._by_key: dict[int, list[Connection]] = {}
        self._by_age: dict[Connection, float] = {}
        self._filled = trio.Event()

    def __len__(self) -> int:
        return len(self._by_age)

    def take(self, key: int, origin: Origin) -> Connection | None:
        """The one used last, if it may still be used; closes those that may not. The caller owns what it gets."""
        waiting = self._by_key.get(key)
        if waiting is None:
            return None
        now = trio.current_time()
        while waiting:
            connection = waiting.pop()
            del self._by_age[connection]
            if not waiting:
                del self._by_key[key]
            if connection.expires > now and connection.origin == origin:
                return connection
            connection.close()
        return None

    def put(self, key: int, connection: Connection, hint: int | None) -> None:
        """Takes the connection over; `hint` is what the peer said with `Keep-Alive: timeout=`, in seconds."""
        seconds = self._keep_alive if hint is None else min(self._keep_alive, hint * _SHARE_OF_HINT)
        if seconds <= 0:
            connection.close()
            return
        if len(self._by_age) >= self._limit:
            self._close(next(iter(self._by_age)))
        now = trio.current_time()
        connection.key = key
        connection.expires = now + seconds
        self._by_age[connection] = now + self._keep_alive
        waiting = self._by_key.get(key)
        if waiting is None:
            self._by_key[key] = [connection]
        else:
            waiting.append(connection)
        if len(self._by_age) == 1:
            self._filled.set()

    def clear(self) -> None:
        for connection in self._by_age:
            connection.close()
        self._by_age.clear()
        self._by_key.clear()

    async def run(self) -> None:
        """Closes what has expired, for ever. Cancelled, it leaves the rest in place: see `clear`."""
        while True:
            if not self._by_age:
                self._filled = trio.Event()
                await self._filled.wait()
            # The order of putting is the order of `_by_age`'s instants; one with a shorter hint waits for its turn.
            while self._by_age and (oldest := next(iter(self._by_age.items())))[1] <= trio.current_time():
                self._close(oldest[0])
            if self._by_age:
                await trio.sleep_until(next(iter(self._by_age.values())))

    def _close(self, connection: Connection) -> None:
        del self._by_age[connection]
        waiting = self._by_key[connection.key]
        waiting.remove(connection)
        if not waiting:
            del self._by_key[connection.key]
        connection.close()
