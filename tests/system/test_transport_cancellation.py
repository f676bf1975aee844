"""Cancelled anywhere, an attempt leaves no socket open and no connection in use; the transport stays good."""

from __future__ import annotations

import itertools
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
import trio
import trustme
from wire import OK, only_open, open_sockets, post, receiver, request_from, transport

from daemon.egress import EgressTransport, Exchange
from daemon.egress.resolver import SystemResolver
from daemon.egress.tls import harden

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from daemon.egress.resolver import SockAddr

AUTHORITY = trustme.CA()
CERTIFICATE = AUTHORITY.issue_cert("hooks.example")


def one_address(host: str, port: int) -> list[SockAddr]:
    return [("127.0.0.1", port)]


def two_addresses(host: str, port: int) -> list[SockAddr]:
    """At the first, nobody listens."""
    return [("127.0.0.9", port), ("127.0.0.1", port)]


class CancelAtStep(trio.abc.Instrument):
    """Cancels `scope` when the task inside it, or a child of it, is about to take what is their `step`th step."""

    def __init__(self, scope: trio.CancelScope, step: int) -> None:
        self._scope = scope
        self._left = step
        self._task = trio.lowlevel.current_task()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self._task or (task.parent_nursery is not None and task.parent_nursery.parent_task is self._task):
            self._left -= 1
            if self._left == 0:
                self._scope.cancel()


async def in_pieces(stream: trio.abc.Stream) -> None:
    while await request_from(stream) is not None:
        for piece in (b"HTTP/1.1 103 Early\r\n\r\n", OK[:20], OK[20:-1], OK[-1:]):
            await stream.send_all(piece)
            await trio.testing.wait_all_tasks_blocked()


@asynccontextmanager
async def house(
    scheme: str, look_up: Callable[[str, int], list[SockAddr]] = two_addresses
) -> AsyncIterator[tuple[EgressTransport, str]]:
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    CERTIFICATE.configure_cert(serving)
    trusting = ssl.create_default_context()
    AUTHORITY.configure_trust(trusting)

    async def handle(stream: trio.abc.Stream) -> None:
        await in_pieces(trio.SSLStream(stream, serving, server_side=True) if scheme == "https" else stream)

    async with (
        receiver(handle) as port,
        transport(resolver=SystemResolver(look_up=look_up), tls=harden(trusting)) as egress,
    ):
        yield egress, f"{scheme}://hooks.example:{port}/"


async def cancelled_at(step: int, egress: EgressTransport, url: str, body: bytes) -> bool:
    with trio.CancelScope() as scope:
        instrument = CancelAtStep(scope, step)
        trio.lowlevel.add_instrument(instrument)
        try:
            await post(egress, url, body)
        finally:
            trio.lowlevel.remove_instrument(instrument)
    return scope.cancelled_caught


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("size", [10, 3_000_000], ids=["small", "large"])
@pytest.mark.parametrize("kept", [False, True], ids=["fresh", "kept"])
@pytest.mark.parametrize("look_up", [one_address, two_addresses])
async def test_cancelled_at_any_await_no_socket_stays_open(
    scheme: str, size: int, kept: bool, look_up: Callable[[str, int], list[SockAddr]]
) -> None:
    body = b"a" * size
    async with house(scheme, look_up) as (egress, url):
        bare = open_sockets()
        for step in itertools.count(1):
            if kept:
                await post(egress, url)
            cancelled = await cancelled_at(step, egress, url, body)
            if cancelled:
                assert egress.statistics().idle <= (1 if kept and step == 1 else 0)
            await egress.aclose()
            with trio.fail_after(2):
                await only_open(bare)
            if not cancelled:
                break
        assert step > (3 if kept else 5), "every wait was cancelled once"
        response, _ = await post(egress, url)
        assert response.status_code == 200


async def test_the_deadline_leaves_no_socket_open_either() -> None:
    async def hang(stream: trio.abc.Stream) -> None:
        await request_from(stream)
        assert not await stream.receive_some(1)

    async with receiver(hang) as port, transport() as egress:
        before = open_sockets()
        async with trio.open_nursery() as nursery:
            for key in range(30):
                exchange = Exchange(key=key, tenant="acme", deadline=trio.current_time() + 0.05)
                request = httpx.Request(
                    "POST", f"http://127.0.0.1:{port}/", content=b"{}", extensions={"exchange": exchange}
                )

                async def attempt(request: httpx.Request = request) -> None:
                    with pytest.raises(httpx.TransportError):
                        await egress.handle_async_request(request)

                nursery.start_soon(attempt)
        with trio.fail_after(2):
            await only_open(before)
