"""Behaviours of receivers that are broken, slow or out to hurt."""

from __future__ import annotations

import gzip
import socket
import struct
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import trio

from harness.receiver import OK, response

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.receiver import Behaviour, Connection

MEBIBYTE = 1 << 20
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


async def closes_at_once(connection: Connection) -> None:
    """Hang up before anything was said."""


async def reads_then_closes(connection: Connection) -> None:
    await connection.request()


async def reads_then_resets(connection: Connection) -> None:
    """A reset instead of an answer (RFC 9293 §3.5.2)."""
    await connection.request()
    stream = connection.stream
    assert isinstance(stream, trio.SocketStream)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)


async def drips_the_head(connection: Connection) -> None:
    """One byte of the head a second."""
    await connection.request()
    await _drip(connection, response("HTTP/1.1 200 OK\nX-Padding: " + "a" * 100))


async def drips_the_body(connection: Connection) -> None:
    """The head at once, then one byte of the body a second."""
    await connection.request()
    await connection.send(response("HTTP/1.1 200 OK\nContent-Length: 100"))
    await _drip(connection, b"b" * 100)


async def _drip(connection: Connection, data: bytes) -> None:
    for byte in data:
        await connection.send(bytes([byte]))
        await trio.sleep(1)


class Flood:
    """200 and 100 MiB of body; `sent` is how much of it the daemon let in, buffers of the kernel included."""

    size = 100 * MEBIBYTE

    def __init__(self) -> None:
        self.sent = 0

    async def __call__(self, connection: Connection) -> None:
        await connection.request()
        await connection.send(response(f"HTTP/1.1 200 OK\nContent-Length: {self.size}"))
        chunk = b"x" * 65536
        while self.sent < self.size:
            await connection.send(chunk)
            self.sent += len(chunk)


BOMB = gzip.compress(b"\0" * (64 * MEBIBYTE))


def once(*parts: bytes) -> Behaviour:
    """Send these bytes for an answer, then close."""

    async def behaviour(connection: Connection) -> None:
        await connection.request()
        for part in parts:
            await connection.send(part)

    return behaviour


gzip_bomb = once(response(f"HTTP/1.1 200 OK\nContent-Encoding: gzip\nContent-Length: {len(BOMB)}", BOMB))
interim_first = once(
    response("HTTP/1.1 100 Continue"),
    response("HTTP/1.1 103 Early Hints\nLink: </style.css>"),
    response("HTTP/1.1 201 Created\nContent-Length: 0"),
)
interim_for_ever = once(*[response("HTTP/1.1 103 Early Hints")] * 17, OK)
switches_protocols = once(response("HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\nConnection: upgrade"))


async def interim_then_silence(connection: Connection) -> None:
    """100 Continue, and then nothing."""
    await connection.request()
    await connection.send(response("HTTP/1.1 100 Continue"))
    await connection.until_closed()


rubbish = once(b"\x00\xff\x16SSH-2.0-OpenSSH_9.2\r\n\r\n")
head_too_large = once(response("HTTP/1.1 200 OK\n" + "\n".join(f"X-{n}: {'a' * 1000}" for n in range(100))))
half_a_head = once(b"HTTP/1.1 200 OK\r\nContent-Le")
half_a_body = once(response("HTTP/1.1 200 OK\nContent-Length: 100", b"half"))
rubbish_chunks = once(response("HTTP/1.1 200 OK\nTransfer-Encoding: chunked", b"zz\r\nnot a chunk"))
body_until_close = once(response("HTTP/1.0 200 OK", b"until the end"))


async def takes_no_handshake(connection: Connection) -> None:
    """Accept, and leave TLS's first message unanswered."""
    await connection.until_closed()


async def shakes_hands_for_ever(connection: Connection) -> None:
    """Records full of messages that TLS 1.2 wants ignored (RFC 5246 §7.4.1.1)."""
    while True:
        await connection.send((b"\x16\x03\x03\x40\x00" + bytes(1 << 14)) * 16)


async def speaks_plain_http(connection: Connection) -> None:
    """Answer TLS's first message as many servers do, in clear text."""
    await connection.stream.receive_some(65536)
    await connection.send(response("HTTP/1.1 400 Bad Request\nContent-Length: 0"))


@contextmanager
def port_that_answers_no_syn(host: str = "127.0.0.1") -> Iterator[int]:
    """A listening port of `host` that accepts nothing and whose queue is full, so that the kernel drops what comes."""
    with ExitStack() as held:
        listener = held.enter_context(socket.socket())
        listener.bind((host, 0))
        listener.listen(0)
        for _ in range(4):
            filler = held.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def unused_port() -> int:
    """A port on which nothing listens (it was free a moment ago)."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
