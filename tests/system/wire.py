"""Raw-socket receivers for the transport's tests: each test says what its receiver does, byte by byte."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from ipaddress import ip_network
from typing import TYPE_CHECKING

import trio
from peers.sending import send

from daemon.egress import AddressPolicy, EgressError, EgressTransport, Exchange, LocalFault
from daemon.settings import DeliverySettings, EgressSettings

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    import httpx

    from daemon.egress import Resolver

LOOPBACK = AddressPolicy([ip_network("127.0.0.0/8"), ip_network("::1/128")])
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def transport(
    *,
    policy: AddressPolicy = LOOPBACK,
    resolver: Resolver | None = None,
    tls: ssl.SSLContext | None = None,
    connect_timeout: float = 5.0,
    keep_alive: float = 5.0,
    kept_connections: int = 2048,
    require_https: bool = False,
) -> AsyncIterator[EgressTransport]:
    """A running one; its idle connections are closed at the end."""
    delivery = DeliverySettings(connect_timeout=connect_timeout, keep_alive=keep_alive, max_concurrent=kept_connections)
    egress = EgressTransport(delivery, EgressSettings(require_https=require_https), policy, resolver=resolver, tls=tls)
    async with egress, trio.open_nursery() as running:
        await running.start(egress.run)
        yield egress
        running.cancel_scope.cancel()


async def post(
    egress: EgressTransport, url: str, body: bytes = b"{}", *, key: int = 1, within: float = 5.0, tenant: str = "acme"
) -> tuple[httpx.Response, Exchange]:
    """One request with `within` seconds for all of it."""
    exchange = Exchange(key=key, tenant=tenant, deadline=trio.current_time() + within)
    return await send(egress, url, body, exchange), exchange


async def post_once(
    url: str, body: bytes = b"{}", *, within: float = 5.0, tls: ssl.SSLContext | None = None
) -> tuple[httpx.Response, Exchange]:
    """One request through a transport of its own."""
    async with transport(tls=tls) as egress:
        return await post(egress, url, body, within=within)


async def fail_once(
    url: str, body: bytes = b"{}", *, within: float = 5.0, tls: ssl.SSLContext | None = None
) -> tuple[EgressError | LocalFault, Exchange]:
    """One request through a transport of its own that must end before a final head."""
    async with transport(tls=tls) as egress:
        return await failing(egress, url, body, within=within)


async def failing(
    egress: EgressTransport, url: str, body: bytes = b"{}", *, key: int = 1, within: float = 5.0
) -> tuple[EgressError | LocalFault, Exchange]:
    """One request that must end before a final head."""
    exchange = Exchange(key=key, tenant="acme", deadline=trio.current_time() + within)
    try:
        response = await send(egress, url, body, exchange)
    except (EgressError, LocalFault) as error:
        return error, exchange
    raise AssertionError(f"answered {response.status_code}")


@asynccontextmanager
async def receiver(handler: Callable[[trio.abc.Stream], Awaitable[None]]) -> AsyncIterator[int]:
    """Serves on a free port of 127.0.0.1, which it yields; a peer that goes away is no fault of the handler."""

    async def run(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await handler(stream)

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, run, 0, host="127.0.0.1"))
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


def saying(*parts: bytes) -> Callable[[trio.abc.Stream], Awaitable[None]]:
    """Reads one request, says `parts` one after another, closes."""

    async def handle(stream: trio.abc.Stream) -> None:
        if await request_from(stream) is None:
            return
        for part in parts:
            await stream.send_all(part)

    return handle


def answering(response: bytes = OK) -> Callable[[trio.abc.Stream], Awaitable[None]]:
    """Answers every request with `response` until the peer closes."""

    async def handle(stream: trio.abc.Stream) -> None:
        while await request_from(stream) is not None:
            await stream.send_all(response)

    return handle


async def request_from(stream: trio.abc.Stream) -> bytes | None:
    """The next request, head and body; None when the peer closed instead."""
    data = b""
    while True:
        head, end, body = data.partition(b"\r\n\r\n")
        if end:
            lines = [line.partition(b":") for line in head.lower().split(b"\r\n")]
            wanted = next(int(value) for name, _, value in lines if name == b"content-length")
            if len(body) >= wanted:
                return data
        more = await stream.receive_some(65536)
        if not more:
            return None
        data += more


async def until_closed(stream: trio.abc.Stream) -> None:
    while await stream.receive_some(65536):
        pass


def reset(stream: trio.SocketStream) -> None:
    """Closes with RST instead of FIN."""
    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.socket.close()


@contextmanager
def unanswering_port() -> Iterator[int]:
    """A port whose SYNs are dropped: its queue of connections is full and nobody accepts."""
    with socket.socket() as listening, socket.socket() as one, socket.socket() as other:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for filling in (one, other):
            filling.setblocking(False)
            filling.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]


@contextmanager
def free_port() -> Iterator[int]:
    """A port that nobody listens on, and that nobody else is given meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def open_sockets() -> set[str]:
    """The sockets this process has open, by their inode."""
    found = set[str]()
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            target = os.readlink(f"/proc/self/fd/{descriptor}")
            if target.startswith("socket:"):
                found.add(target)
    return found


async def only_open(expected: set[str]) -> None:
    """Until no socket but `expected` is open: the receiver's end closes a moment after ours."""
    while open_sockets() - expected:  # noqa: ASYNC110  # a descriptor tells nobody when it closes
        await trio.sleep(0.001)
