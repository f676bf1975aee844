"""How many connections there may be, and who makes room (CONTRACT §7)."""

from __future__ import annotations

import os
import resource
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING

import trio
from server_shell import ANYWHERE, GET, hello, respond, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


async def test_at_the_limit_the_connection_that_rested_longest_makes_room() -> None:
    async with serving(hello, max_connections=3) as shell, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(shell.client()) for _ in range(3)]
        for client in clients:
            assert (await client.get()).status == 200
        assert (await clients[0].get()).status == 200
        newcomer = await stack.enter_async_context(shell.client())
        assert (await newcomer.get()).status == 200
        assert await clients[1].closed()
        assert (await clients[0].get()).status == 200
        assert (await clients[2].get()).status == 200
        assert shell.server.statistics().open["main"] == 3


async def test_half_sent_heads_cannot_keep_others_out() -> None:
    async with serving(hello, max_connections=5) as shell, AsyncExitStack() as stack:
        for _ in range(5):
            slow = await stack.enter_async_context(shell.client())
            await slow.send(b"GET / HT")
        await shell.until_resting(5)
        for _ in range(20):
            async with shell.client() as client:
                assert (await client.get()).status == 200


async def test_a_flood_of_half_sent_heads_stays_within_the_limit() -> None:
    async with serving(hello, max_connections=5) as shell, AsyncExitStack() as stack:
        for _ in range(30):
            slow = await stack.enter_async_context(shell.client())
            await slow.send(b"GET / HT")
            await shell.until_resting(min(5, shell.server.statistics().open["main"]))
            assert shell.server.statistics().open["main"] <= 6


async def test_a_request_in_progress_never_makes_room_and_the_newcomer_waits() -> None:
    go_on = trio.Event()

    async def app(scope, receive, send) -> None:
        if scope["path"] == "/slow":
            await go_on.wait()
        await hello(scope, receive, send)

    async with serving(app, max_connections=2) as shell, AsyncExitStack() as stack:
        busy = [await stack.enter_async_context(shell.client()) for _ in range(2)]
        for client in busy:
            await client.send(GET.replace(b" / ", b" /slow "))
        await shell.until_open(2)
        await shell.until_resting(0)
        newcomer = await stack.enter_async_context(shell.client())
        await newcomer.send(GET)
        with trio.move_on_after(0.1) as patience:
            await newcomer.answer()
        assert patience.cancelled_caught
        go_on.set()
        assert (await newcomer.answer()).status == 200
        for client in busy:
            assert (await client.answer()).status == 200


async def test_observers_and_administrators_get_in_while_the_main_address_is_full() -> None:
    async def app(scope, receive, send) -> None:
        if scope["path"] == "/slow":
            await trio.sleep_forever()
        await hello(scope, receive, send)

    binds = {"observe_bind": (ANYWHERE,), "admin_bind": (ANYWHERE,)}
    async with serving(app, max_connections=1, **binds) as shell, shell.client() as busy:
        await busy.send(GET.replace(b" / ", b" /slow "))
        await shell.until_open(1)
        for role in ("observe", "admin"):
            async with shell.client(role) as client:
                assert (await client.get()).body == f"GET / {role} 0".encode()


@contextmanager
def no_free_descriptor() -> Iterator[None]:
    """Every descriptor below the soft limit is taken, and the limit is as low as it can be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = [os.open("/dev/null", os.O_RDONLY)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (taken[0] + 1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        os.close(taken[0])


async def test_without_descriptors_the_server_lives_says_so_once_and_recovers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with serving(hello) as shell:
        address = shell.listeners[0].socket.getsockname()
        with trio.socket.socket() as sock:
            with no_free_descriptor():
                await sock.connect(address)
                await sock.send(GET)
                with trio.move_on_after(0.35):
                    await sock.recv(1)
            assert (await sock.recv(15)).startswith(b"HTTP/1.1 200")
    assert capsys.readouterr().err.count("http.accept_failing") == 1


async def test_without_descriptors_a_resting_connection_makes_room() -> None:
    async with serving(hello) as shell, shell.client() as resting:
        assert (await resting.get()).status == 200
        with trio.socket.socket() as sock, no_free_descriptor():
            await sock.connect(shell.listeners[0].socket.getsockname())
            await sock.send(GET)
            assert (await sock.recv(15)).startswith(b"HTTP/1.1 200")
            assert await resting.closed()


async def test_bodies_that_do_not_come_cannot_keep_others_out() -> None:
    async with serving(hello, max_connections=5) as shell, AsyncExitStack() as stack:
        slow = [await stack.enter_async_context(shell.client()) for _ in range(5)]
        for client in slow:
            await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
        await shell.until_resting(5)
        for _ in range(5):
            async with shell.client() as newcomer:
                assert (await newcomer.get()).status == 200
        assert (await slow[0].answer()).status == 408
        assert await slow[0].closed()
        assert (await slow[-1].get(b" more")).body == b"POST / main 9"


async def test_answers_that_nobody_reads_cannot_keep_others_out() -> None:
    async def app(scope, receive, send) -> None:
        await respond(send, 200, b"x" * 20_000_000 if scope["path"] == "/big" else b"")

    async with serving(app, max_connections=3) as shell, AsyncExitStack() as stack:
        for _ in range(3):
            deaf = await stack.enter_async_context(shell.client(receive_buffer=4096))
            await deaf.send(GET.replace(b" / ", b" /big "))
        await shell.until_resting(3)
        for _ in range(5):
            async with shell.client() as newcomer:
                assert (await newcomer.get()).status == 200


async def test_a_drain_waits_for_a_body_that_is_still_coming_and_an_answer_that_is_still_read() -> None:
    begun: list[str] = []

    async def app(scope, receive, send) -> None:
        begun.append(scope["path"])
        await respond(send, 200, b"x" * 6_000_000) if scope["path"] == "/big" else await hello(scope, receive, send)

    async with serving(app) as shell, shell.client() as slow, shell.client(receive_buffer=4096) as reader:
        await slow.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
        await reader.send(GET.replace(b" / ", b" /big "))
        while len(begun) < 2:  # before its head is read a connection rests as well
            await trio.lowlevel.checkpoint()
        await shell.until_resting(2)
        shell.server.drain(trio.current_time() + 9)
        assert (await slow.get(b" more")).body == b"POST / main 9"
        assert len((await reader.answer()).body) == 6_000_000
        await shell.stopped.wait()
