"""A load of HTTP requests as a process of its own: raw keep-alive connections, nothing parsed that need not be.

Run: `python load_client.py`, with a `Job` as JSON on standard input; the `Report` comes out as JSON. With a `rate` the
loop is open: each request falls due at a random moment of its own interval (two loops that were even would meet at
every turn or at none, as it happens), whether or not earlier ones were answered, and leaves on a free connection, or on
a new one. At `most` connections it waits, and its time still counts from when it was due: a slow server cannot hide by
slowing the client (Tene's "coordinated omission"). Without a rate, each connection sends its next request when the last
one was answered.

A connection that the server ends costs the request on it, which counts as an answer with status 0; an idle one nothing.
"""

from __future__ import annotations

import asyncio
import random
import re
import sys
import time
from collections import deque
from selectors import SelectSelector

import msgspec
from msgspec import Struct

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ENDING_SECONDS = 20.0
LOST = 0


class Sent(Struct, frozen=True):
    """What a request is; its bytes are made once, however often it is sent."""

    method: str
    target: str
    token: str = ""
    body: str = ""

    def message(self) -> bytes:
        body = self.body.encode()
        head = f"{self.method} {self.target} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {self.token}\r\n"
        return f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


class Job(Struct, frozen=True):
    """Send `count` requests, those given in turn; `seconds` ends it earlier. `connections` are there from the start, an
    open loop makes more of them up to `most`."""

    host: str
    port: int
    requests: list[Sent]
    count: int
    connections: int = 1
    most: int = 256
    rate: float | None = None
    seconds: float = 600.0
    keep_bodies: bool = True


class Answer(Struct, frozen=True, array_like=True):
    """`due`, `sent` and `answered` in monotonic ns; the machine has one such clock for all its processes. `due` is when
    it should have been sent: the same as `sent`, but in an open loop. The body of one that was lost says why."""

    status: int
    due: int
    sent: int
    answered: int
    body: str

    @property
    def good(self) -> bool:
        return 200 <= self.status <= 299

    @property
    def milliseconds(self) -> float:
        return (self.answered - self.due) / 1e6


class Report(Struct, frozen=True):
    """`cpu` in seconds. `late`: by how many ms each request of an open loop missed its time through the client's own
    fault, in order."""

    began: int
    ended: int
    cpu: float
    late: list[float]
    answers: list[Answer]

    @property
    def seconds(self) -> float:
        return (self.ended - self.began) / 1e9


class Load:
    def __init__(self, job: Job) -> None:
        self.job = job
        self.answers: list[Answer] = []
        self.late: list[float] = []
        self._left = job.count
        self._alive = 0
        self._opening = 0
        self._open = 0
        self._free: deque[Connection] = deque()
        self._due: deque[int] = deque()
        self._done = asyncio.get_running_loop().create_future()
        self._messages = [request.message() for request in job.requests]
        self._next = 0
        self._ends = time.monotonic() + job.seconds

    async def run(self) -> Report:
        job = self.job
        connections = [await self._connect() for _ in range(job.connections)]
        began, cpu = time.monotonic_ns(), time.process_time()
        async with asyncio.TaskGroup() as self._tasks, asyncio.timeout(job.seconds + _ENDING_SECONDS):
            if job.rate is None:
                for connection in connections:
                    self._onwards(connection)
            else:
                self._free.extend(connections)
                await self._open_loop(job.rate, began)
            await self._done
        return Report(began, time.monotonic_ns(), time.process_time() - cpu, self.late, self.answers)

    async def _open_loop(self, rate: float, began: int) -> None:
        for number in range(self.job.count):
            due = began + round((number + random.random()) * 1e9 / rate)
            if (early := due - time.monotonic_ns()) > 0:
                await asyncio.sleep(early / 1e9)
            self.late.append((time.monotonic_ns() - due) / 1e6)
            self._left -= 1
            self._due.append(due)
            if self._free:
                self._onwards(self._free.popleft())
            else:
                self._reinforce()

    def _reinforce(self) -> None:
        """One connection more, unless those that are there or on their way are enough, or the most."""
        if self._alive + self._opening < self.job.most and self._opening < len(self._due):
            self._opening += 1
            self._tasks.create_task(self._one_more())

    async def _one_more(self) -> None:
        try:
            connection = await self._connect()
        finally:
            self._opening -= 1
        self._onwards(connection)

    async def _connect(self) -> Connection:
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(self), self.job.host, self.job.port
        )
        self._alive += 1
        return connection

    def _onwards(self, connection: Connection) -> None:
        """The next request for a connection that has none."""
        if self.job.rate is not None and self._due:
            self._send(connection, self._due.popleft())
        elif self.job.rate is not None:
            self._free.append(connection)
        elif self._left > 0 and time.monotonic() < self._ends:
            self._left -= 1
            self._send(connection, time.monotonic_ns())
        else:
            self._left = 0

    def _send(self, connection: Connection, due: int) -> None:
        self._open += 1
        connection.send(self._messages[self._next % len(self._messages)], due)
        self._next += 1

    def answered(self, connection: Connection, answer: Answer) -> None:
        self._open -= 1
        self.answers.append(answer)
        self._onwards(connection)
        self._look_whether_done()

    def lost(self, connection: Connection, answer: Answer | None) -> None:
        """A connection is gone, and the request on it if there was one."""
        self._alive -= 1
        if answer is None:
            if connection in self._free:
                self._free.remove(connection)
        else:
            self._open -= 1
            self.answers.append(answer)
        if self.job.rate is not None:
            self._reinforce()
        elif not self._alive:
            self._left = 0
        self._look_whether_done()

    def _look_whether_done(self) -> None:
        if not self._left and not self._open and not self._due and not self._done.done():
            self._done.set_result(None)


class Connection(asyncio.Protocol):
    def __init__(self, load: Load) -> None:
        self._load = load
        self._buffer = bytearray()
        self._asked: tuple[int, int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        answer = None
        if self._asked is not None:
            why = f"lost: {exc or 'the server closed the connection'}, {len(self._buffer)} bytes of an answer were in"
            answer = Answer(LOST, *self._asked, time.monotonic_ns(), why)
        self._load.lost(self, answer)

    def send(self, message: bytes, due: int) -> None:
        self._asked = due, time.monotonic_ns()
        self._transport.write(message)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n") + 4
        if head < 4:
            return
        length = _LENGTH.search(self._buffer, 0, head)
        end = head + (int(length[1]) if length else 0)
        if len(self._buffer) < end or self._asked is None:
            return
        status = int(self._buffer[9:12])
        body = self._buffer[head:end].decode() if self._load.job.keep_bodies or status >= 300 else ""
        answer = Answer(status, *self._asked, time.monotonic_ns(), body)
        self._buffer.clear()
        self._asked = None
        self._load.answered(self, answer)


async def run(job: Job) -> Report:
    return await Load(job).run()


def clocked() -> asyncio.AbstractEventLoop:
    """A loop whose timers are as exact as the kernel's: epoll, asyncio's usual choice, rounds them up to a ms."""
    return asyncio.SelectorEventLoop(SelectSelector())


if __name__ == "__main__":
    described = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    with asyncio.Runner(loop_factory=None if described.rate is None else clocked) as runner:
        sys.stdout.buffer.write(msgspec.json.encode(runner.run(run(described))))
