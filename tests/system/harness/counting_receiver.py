"""A fast receiver as a process of its own: answers 200 and keeps count, whatever becomes of the daemon.

Run: `python counting_receiver.py [--ledger FILE] [--delay SECONDS]`. Prints its port. Each POST adds one line to the
ledger, `<monotonic ns> <target> <webhook-id> <Unix ms> <answer>`, in one append before it is answered: as soon as its
head is in, so that a request which the daemon did not live to finish is counted too. The target stands there without
its query; `/moody` answers some events 500 and a few never (answer 0): always the same ones. `GET /count` answers how
many POSTs there were.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
import zlib

from httptools import HttpRequestParser

ANSWERS = {
    200: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK",
    500: b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nNo",
    0: b"",
}
APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND


class Counter:
    def __init__(self, ledger: str | None, delay: float) -> None:
        self.total = 0
        self.delay = delay
        self._ledger = None if ledger is None else os.open(ledger, APPEND)

    def add(self, target: bytes, event: bytes) -> int:
        """Count a POST; returns what it is answered."""
        self.total += 1
        answer = mood(event) if target == b"/moody" else 200
        if self._ledger is not None:
            now = time.time_ns() // 1_000_000
            os.write(self._ledger, b"%d %s %s %d %d\n" % (time.monotonic_ns(), target, event, now, answer))
        return answer


def mood(event: bytes) -> int:
    chance = zlib.crc32(event) % 400
    return 500 if chance < 100 else 0 if chance == 100 else 200


class Protocol(asyncio.Protocol):
    """One connection; the methods `on_…` are httptools'."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._parser = HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._event = b""

    def on_url(self, url: bytes) -> None:
        self._target = url.partition(b"?")[0]

    def on_header(self, name: bytes, value: bytes) -> None:
        if name == b"webhook-id":
            self._event = value

    def on_headers_complete(self) -> None:
        if self._parser.get_method() == b"POST":
            self._answer = ANSWERS[self._counter.add(self._target, self._event)]

    def on_message_complete(self) -> None:
        if self._parser.get_method() == b"GET":
            total = b"%d" % self._counter.total
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(total), total))
        elif self._counter.delay:
            asyncio.get_running_loop().call_later(self._counter.delay, self._transport.write, self._answer)
        else:
            self._transport.write(self._answer)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ledger")
    parser.add_argument("--delay", type=float, default=0.0)
    arguments = parser.parse_args()
    counter = Counter(arguments.ledger, arguments.delay)
    server = await asyncio.get_running_loop().create_server(lambda: Protocol(counter), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    # The end of our standard input is the end of whoever started us.
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
