"""A load of HTTP requests as a process of its own: raw keep-alive connections, nothing parsed that need not be.

Run: `python load_client.py`, with a `Job` as JSON on standard input; the `Report` comes out as JSON. With a `rate` the
loop is open: requests leave at their time whether or not earlier ones were answered, each on a free connection, or on
a new one. Without, each connection sends its next request when the last one was answered.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections import deque

import msgspec
from msgspec import Struct

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ENDING_SECONDS = 20.0


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
    """Send `count` requests, those given in turn; `seconds` ends it earlier."""

    host: str
    port: int
    requests: list[Sent]
    count: int
    connections: int = 1
    rate: float | None = None
    seconds: float = 600.0
    keep_bodies: bool = True


class Answer(Struct, frozen=True, array_like=True):
    """`sent` and `answered` in monotonic ns; the machine has one such clock for all its processes."""

    status: int
    sent: int
    answered: int
    body: str


class Report(Struct, frozen=True):
    """`late`: by how many seconds the latest request of an open loop missed its time. `cpu` in seconds."""

    began: int
    ended: int
    cpu: float
    late: float
    answers: list[Answer]

    @property
    def seconds(self) -> float:
        return (self.ended - self.began) / 1e9


class Load:
    def __init__(self, job: Job) -> None:
        self.job = job
        self.answers: list[Answer] = []
        self.left = job.count
        self.late = 0.0
        self.free: deque[Connection] = deque()
        self.done = asyncio.get_running_loop().create_future()
        self._open = 0
        self._messages = [request.message() for request in job.requests]
        self._sent = 0
        self._ends = time.monotonic() + job.seconds

    async def connect(self) -> Connection:
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(self), self.job.host, self.job.port
        )
        return connection

    def next(self) -> bytes | None:
        """What to send now, or None when all was sent."""
        if self.left <= 0 or time.monotonic() > self._ends:
            self.left = 0
            return None
        self.left -= 1
        self._open += 1
        self._sent += 1
        return self._messages[self._sent % len(self._messages)]

    def answered(self, connection: Connection, answer: Answer) -> None:
        self.answers.append(answer)
        self._open -= 1
        if self.job.rate is None:
            connection.go()
        else:
            self.free.append(connection)
        if not self.left and not self._open and not self.done.done():
            self.done.set_result(None)


class Connection(asyncio.Protocol):
    def __init__(self, load: Load) -> None:
        self._load = load
        self._buffer = b""
        self._sent = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._load.done.done():
            self._load.done.set_exception(exc or ConnectionError("the server closed a connection"))

    def go(self) -> None:
        message = self._load.next()
        if message is not None:
            self._sent = time.monotonic_ns()
            self._transport.write(message)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n") + 4
        if head < 4:
            return
        length = _LENGTH.search(self._buffer, 0, head)
        end = head + (int(length[1]) if length else 0)
        if len(self._buffer) < end:
            return
        body = self._buffer[head:end].decode() if self._load.job.keep_bodies else ""
        answer = Answer(int(self._buffer[9:12]), self._sent, time.monotonic_ns(), body)
        self._buffer = b""
        self._load.answered(self, answer)


async def run(job: Job) -> Report:
    load = Load(job)
    connections = [await load.connect() for _ in range(job.connections)]
    began, cpu = time.monotonic_ns(), time.process_time()
    if job.rate is None:
        for connection in connections:
            connection.go()
    else:
        load.free.extend(connections)
        await _open_loop(load, job.rate, began / 1e9)
    await asyncio.wait_for(load.done, job.seconds + _ENDING_SECONDS)
    report = Report(began, time.monotonic_ns(), time.process_time() - cpu, load.late, load.answers)
    load.done = asyncio.get_running_loop().create_future()
    load.done.set_result(None)
    return report


async def _open_loop(load: Load, rate: float, began: float) -> None:
    for number in range(load.job.count):
        due = began + number / rate
        if (early := due - time.monotonic()) > 0:
            await asyncio.sleep(early)
        load.late = max(load.late, time.monotonic() - due)
        connection = load.free.popleft() if load.free else await load.connect()
        connection.go()


if __name__ == "__main__":
    described = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(run(described))))
