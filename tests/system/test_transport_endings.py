"""A receiver that goes away, by FIN or by RST, at each point of an attempt, plain and over TLS."""

from __future__ import annotations

import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio
import trustme
from wire import OK, failing, open_sockets, post, receiver, request_from, reset, transport, until_closed

from daemon.egress import EgressError
from daemon.egress.tls import harden

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from daemon.egress import EgressTransport

AUTHORITY = trustme.CA()
CERTIFICATE = AUTHORITY.issue_cert("127.0.0.1")
LARGE = b"a" * 8_000_000

HEAD = b"HTTP/1.1 202 Fine\r\nContent-Length: 100\r\n\r\n"
# What was said before the end, and what comes of it: an error code, or the status that stands.
AFTER_THE_REQUEST = {
    "before the head": (b"", "connection_lost"),
    "within the status line": (b"HTTP/1.", "connection_lost"),
    "within an interim response": (b"HTTP/1.1 103 Early\r\nLink: x", "connection_lost"),
    "after an interim response": (b"HTTP/1.1 100 Continue\r\n\r\n", "connection_lost"),
    "within a header": (b"HTTP/1.1 200 OK\r\nContent-Le", "connection_lost"),
    "before the body": (HEAD, 202),
    "within the body": (HEAD + b"part", 202),
    "within a chunk": (b"HTTP/1.1 202 Fine\r\nTransfer-Encoding: chunked\r\n\r\n9\r\npart", 202),
    "within a trailer": (b"HTTP/1.1 202 Fine\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-T: 1", 202),
}


def bare(stream: trio.abc.Stream) -> trio.SocketStream:
    plain = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
    assert isinstance(plain, trio.SocketStream)
    return plain


async def by_fin(stream: trio.abc.Stream) -> None:
    """Over TLS without its goodbye."""
    await bare(stream).aclose()


async def by_rst(stream: trio.abc.Stream) -> None:
    reset(bare(stream))


async def by_half_close(stream: trio.abc.Stream) -> None:
    """Says no more and goes on listening."""
    await bare(stream).send_eof()
    await until_closed(bare(stream))


@asynccontextmanager
async def house(
    scheme: str, handler: Callable[[trio.abc.Stream], Awaitable[None]]
) -> AsyncIterator[tuple[EgressTransport, str]]:
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    CERTIFICATE.configure_cert(serving)
    trusting = ssl.create_default_context()
    AUTHORITY.configure_trust(trusting)

    async def handle(stream: trio.abc.Stream) -> None:
        await handler(trio.SSLStream(stream, serving, server_side=True) if scheme == "https" else stream)

    before = open_sockets()
    async with receiver(handle) as port, transport(tls=harden(trusting)) as egress:
        yield egress, f"{scheme}://127.0.0.1:{port}/"
    assert open_sockets() <= before


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("ending", [by_fin, by_rst, by_half_close])
@pytest.mark.parametrize(("said", "expected"), AFTER_THE_REQUEST.values(), ids=AFTER_THE_REQUEST)
async def test_an_end_after_the_request_is_judged_by_what_was_said_before_it(
    scheme: str, ending: Callable[[trio.abc.Stream], Awaitable[None]], said: bytes, expected: str | int
) -> None:
    arrived = 0

    async def handle(stream: trio.abc.Stream) -> None:
        nonlocal arrived
        await request_from(stream)
        arrived += 1
        if said:
            await stream.send_all(said)
            # A reset overtakes what was sent before it and not yet read.
            await trio.testing.wait_all_tasks_blocked(0.002)
        await ending(stream)

    with trio.fail_after(4):
        async with house(scheme, handle) as (egress, url):
            if isinstance(expected, str):
                error, exchange = await failing(egress, url)
                assert isinstance(error, EgressError)
                assert error.code == expected
                assert error.detail.endswith(".")
            else:
                response, exchange = await post(egress, url)
                assert response.status_code == expected
                assert exchange.truncated
            assert exchange.wrote
            assert egress.statistics().idle == 0
    assert arrived == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("ending", [by_fin, by_rst])
async def test_an_end_while_the_request_is_being_sent_fails_the_sending(
    scheme: str, ending: Callable[[trio.abc.Stream], Awaitable[None]]
) -> None:
    async def handle(stream: trio.abc.Stream) -> None:
        await stream.receive_some(1000)
        await ending(stream)

    with trio.fail_after(4):
        async with house(scheme, handle) as (egress, url):
            error, exchange = await failing(egress, url, LARGE)
    assert isinstance(error, EgressError)
    assert error.code == "send_failed"
    assert exchange.wrote


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("ending", [by_fin, by_rst, by_half_close])
async def test_an_end_between_two_requests_is_seen_before_the_second_is_sent(
    scheme: str, ending: Callable[[trio.abc.Stream], Awaitable[None]]
) -> None:
    async def handle(stream: trio.abc.Stream) -> None:
        await request_from(stream)
        await stream.send_all(OK)
        await trio.testing.wait_all_tasks_blocked(0.002)
        await ending(stream)

    with trio.fail_after(4):
        async with house(scheme, handle) as (egress, url):
            for _ in range(3):
                response, exchange = await post(egress, url)
                assert response.status_code == 200
                assert not exchange.reused
                await trio.testing.wait_all_tasks_blocked(0.005)
            assert egress.statistics().stale == 3


@pytest.mark.parametrize(
    "endless",
    [
        (b"0\r\n", b"a:\r\n" * 1000),
        (b"1;", b"a=b;" * 1000),
        (b"", b"1\r\na\r\n" * 1000),
    ],
    ids=["trailers", "chunk extensions", "tiny chunks"],
)
async def test_what_surrounds_a_body_is_bounded_like_the_body(endless: tuple[bytes, bytes]) -> None:
    taken = 0

    async def handle(stream: trio.abc.Stream) -> None:
        nonlocal taken
        await request_from(stream)
        first, rest = endless
        await stream.send_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + first)
        bare(stream).socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_SNDBUF, 65536)
        while True:
            await stream.send_all(rest)
            taken += len(rest)

    with trio.fail_after(4):
        async with house("http", handle) as (egress, url):
            response, exchange = await post(egress, url)
            assert egress.statistics().idle == 0
    assert response.status_code == 200
    assert exchange.truncated
    assert taken < 8_000_000, "what the kernel's buffers hold is not ours to bound"
    assert exchange.total is not None
    assert exchange.total < 1000


async def test_a_reset_instead_of_a_request_is_never_a_fault_of_ours() -> None:
    async def handle(stream: trio.SocketStream) -> None:
        reset(stream)

    async with receiver(handle) as port, transport() as egress:
        for _ in range(50):
            error, exchange = await failing(egress, f"http://127.0.0.1:{port}/")
            assert isinstance(error, EgressError)
            assert error.code in ("send_failed", "connection_lost")
            assert exchange.wrote or error.code == "send_failed"
