"""Receivers on bare sockets in the test's own process: nothing between the daemon's bytes and the assertion."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias

    Behaviour: TypeAlias = "Callable[[Connection], Awaitable[None]]"


@dataclass(frozen=True)
class Received:
    """One request as it came over the wire; `at` is trio's clock when its last byte was in."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes
    at: float

    def header(self, name: str) -> str:
        """The only header with that name (lower case)."""
        (value,) = [value for key, value in self.headers if key.lower() == name]
        return value


class Connection:
    """One connection of the daemon, with the requests that came over it."""

    def __init__(self, stream: trio.abc.Stream, receiver: Receiver) -> None:
        self.stream = stream
        self._receiver = receiver
        self._buffer = b""

    async def request(self) -> Received | None:
        """The next request, recorded with the receiver; None when the daemon has closed."""
        while b"\r\n\r\n" not in self._buffer:
            if not await self._more():
                return None
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        line, *fields = head.decode("ascii").split("\r\n")
        headers = [(name, value.strip()) for name, _, value in (field.partition(":") for field in fields)]
        length = int(next(value for name, value in headers if name.lower() == "content-length"))
        while len(self._buffer) < length:
            if not await self._more():
                return None
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        received = Received(line, headers, body, trio.current_time())
        self._receiver.record(received)
        return received

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def until_closed(self) -> None:
        """Read and forget until the daemon closes."""
        while await self._more():
            self._buffer = b""

    async def _more(self) -> bool:
        chunk = await self.stream.receive_some(65536)
        self._buffer += chunk
        return bool(chunk)


class Receiver:
    """Listens on a port of its own and treats each connection as `behaviour` says."""

    def __init__(self, port: int, scheme: str) -> None:
        self.port = port
        self.scheme = scheme
        self.requests: list[Received] = []
        self.connections = 0
        self._changed = trio.Event()

    @classmethod
    async def start(
        cls,
        nursery: trio.Nursery,
        behaviour: Behaviour,
        tls: ssl.SSLContext | None = None,
    ) -> Receiver:
        """Serve in `nursery` until it is cancelled."""
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1", backlog=4096)
        receiver = cls(listener.socket.getsockname()[1], "http" if tls is None else "https")
        nursery.start_soon(partial(trio.serve_listeners, partial(receiver._serve, behaviour, tls), [listener]))
        return receiver

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/hook"

    def record(self, received: Received) -> None:
        self.requests.append(received)
        self._notify()

    async def arrived(self, number: int = 1, *, within: float = 10) -> list[Received]:
        """All requests so far, once there are at least `number`."""
        await self._until(lambda: len(self.requests) >= number, f"{number} requests", within)
        return self.requests

    async def connected(self, number: int = 1, *, within: float = 10) -> None:
        """Wait until `number` connections have been accepted."""
        await self._until(lambda: self.connections >= number, f"{number} connections", within)

    async def _until(self, reached: Callable[[], bool], what: str, within: float) -> None:
        with trio.move_on_after(within):
            while not reached():
                await self._changed.wait()
            return
        raise AssertionError(
            f"not within {within} s: {what} (so far {self.connections} connections, {len(self.requests)} requests)"
        )

    def _notify(self) -> None:
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    async def _serve(
        self,
        behaviour: Behaviour,
        tls: ssl.SSLContext | None,
        stream: trio.SocketStream,
    ) -> None:
        self.connections += 1
        self._notify()
        wrapped = stream if tls is None else trio.SSLStream(stream, tls, server_side=True, https_compatible=True)
        async with stream:
            try:
                await behaviour(Connection(wrapped, self))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return  # the daemon hung up, as it may


def response(head: str, body: bytes = b"") -> bytes:
    """A response: status line and headers, one a line, then the body."""
    return head.strip().replace("\n", "\r\n").encode() + b"\r\n\r\n" + body


OK = response("HTTP/1.1 200 OK\nContent-Length: 2", b"OK")


def answers(data: bytes = OK) -> Behaviour:
    """Answer every request with these bytes, and keep the connection."""

    async def behaviour(connection: Connection) -> None:
        while await connection.request():
            await connection.send(data)

    return behaviour


def answers_after(gate: trio.Event, data: bytes = OK) -> Behaviour:
    """Answer requests once the gate is open."""

    async def behaviour(connection: Connection) -> None:
        while await connection.request():
            await gate.wait()
            await connection.send(data)

    return behaviour


async def never_answers(connection: Connection) -> None:
    """Take every request and say nothing."""
    while await connection.request():
        pass
