"""The bare loop: what Trio and httptools alone need to make the same requests. No database, no log, no guard.

Run: `python bare_loop.py`, with a `Job` as JSON on standard input; the `Report` comes out as JSON.
"""

from __future__ import annotations

import sys
import time

import httptools
import msgspec
import trio
from msgspec import Struct


class Job(Struct, frozen=True):
    """Post `message` (the whole request) `count` times over `connections` connections."""

    port: int
    message: bytes
    count: int
    connections: int


class Report(Struct, frozen=True):
    """`seconds` from the first byte to the last answer, once all were connected; `cpu` seconds meanwhile."""

    seconds: float
    cpu: float


class _Answer:
    complete = False

    def on_message_begin(self) -> None:
        self.complete = False

    def on_message_complete(self) -> None:
        self.complete = True


class _Left:
    def __init__(self, count: int) -> None:
        self.count = count


async def _post(stream: trio.SocketStream, message: bytes, left: _Left) -> None:
    answer = _Answer()
    parser = httptools.HttpResponseParser(answer)
    send, receive = stream.socket.send, stream.socket.recv
    while left.count > 0:
        left.count -= 1
        answer.complete = False
        sent = await send(message)
        while sent < len(message):
            sent += await send(message[sent:])
        while not answer.complete:
            parser.feed_data(await receive(65536))
        if parser.get_status_code() != 200:
            raise RuntimeError(f"the receiver answered {parser.get_status_code()}")


async def run(job: Job) -> Report:
    streams = [await trio.open_tcp_stream("127.0.0.1", job.port) for _ in range(job.connections)]
    left = _Left(job.count)
    started, cpu = time.perf_counter(), time.process_time()
    async with trio.open_nursery() as nursery:
        for stream in streams:
            nursery.start_soon(_post, stream, job.message, left)
    return Report(time.perf_counter() - started, time.process_time() - cpu)


if __name__ == "__main__":
    described = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    sys.stdout.buffer.write(msgspec.json.encode(trio.run(run, described)))
