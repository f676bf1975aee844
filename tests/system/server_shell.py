"""A server on real sockets around a small application, and a client that sees every byte."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio
from msgspec import Struct

from daemon.front_end.listeners import Listener, open_listeners
from daemon.front_end.server import Server
from daemon.settings import ServerSettings, TcpBind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ANYWHERE = TcpBind("127.0.0.1", 0)
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Answer(Struct):
    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """One connection. Nothing is sent or read but what the test says."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._buffer = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def answer(self, *, head: bool = False) -> Answer:
        """The next response, by its Content-Length."""
        while b"\r\n\r\n" not in self._buffer:
            await self._more()
        raw, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = raw.decode("latin1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        status = int(first.split()[1])
        length = 0 if head or status < 200 else int(headers.get("content-length", "0"))
        while len(self._buffer) < length:
            await self._more()
        body, self._buffer = self._buffer[:length], self._buffer[length:]
        return Answer(status, headers, body)

    async def get(self, request: bytes = GET) -> Answer:
        await self.send(request)
        return await self.answer()

    async def closed(self) -> bool:
        """Waits for the end; True if nothing came before it."""
        rest = self._buffer
        try:
            while data := await self.stream.receive_some():
                rest += data
        except trio.BrokenResourceError:
            pass
        return rest == b""

    async def _more(self) -> None:
        data = await self.stream.receive_some()
        assert data, f"closed after {self._buffer!r}"
        self._buffer += data


class Shell(Struct):
    """`refusals` are the statuses that the server gave below the application."""

    server: Server
    listeners: list[Listener]
    nursery: trio.Nursery
    stopped: trio.Event
    refusals: list[int]

    @asynccontextmanager
    async def client(self, role: str = "main", *, receive_buffer: int | None = None) -> AsyncIterator[Client]:
        listener = next(found for found in self.listeners if found.role == role)
        sock = trio.socket.socket(listener.socket.family)
        if receive_buffer is not None:
            sock.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, receive_buffer)
        with sock:
            await sock.connect(listener.socket.getsockname())
            yield Client(trio.SocketStream(sock))

    async def until_open(self, count: int, role: str = "main") -> None:
        while self.server.statistics().open[role] != count:
            await trio.lowlevel.checkpoint()

    async def until_resting(self, count: int, role: str = "main") -> None:
        while self.server.statistics().resting[role] != count:
            await trio.lowlevel.checkpoint()


@asynccontextmanager
async def serving(app: object, **settings: object) -> AsyncIterator[Shell]:
    """`app` behind a server of ours for at most 10 s; fails if the server ends by an exception."""
    chosen = ServerSettings(**{"bind": (ANYWHERE,)} | settings)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            listeners = open_listeners(chosen, {})
            refusals: list[int] = []
            server = Server(app, listeners, chosen, lambda status, seconds: refusals.append(status))
            stopped = trio.Event()

            async def run(*, task_status: trio.TaskStatus[None]) -> None:
                await server.run(task_status=task_status)
                stopped.set()

            await nursery.start(run)
            yield Shell(server, listeners, nursery, stopped, refusals)
            nursery.cancel_scope.cancel()


async def hello(scope, receive, send) -> None:
    """Reads the whole body, then says what it got: method, path, role, length of the body."""
    size = 0
    while True:
        message = await receive()
        size += len(message["body"])
        if not message["more_body"]:
            break
    text = f"{scope['method']} {scope['path']} {scope['state']['role']} {size}"
    await respond(send, 200, text.encode("utf-8", "replace"))


async def respond(send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body, "more_body": False})
