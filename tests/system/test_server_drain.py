"""Stopping: no new connection, no answer lost, an end in bounded time."""

from __future__ import annotations

import pytest
import trio
from server_shell import ANYWHERE, GET, hello, respond, serving

from daemon.front_end.listeners import open_listeners
from daemon.front_end.server import Server
from daemon.settings import ServerSettings


class Gate:
    """An application that says when a handler has begun and waits to be let on."""

    def __init__(self) -> None:
        self.begun = trio.Event()
        self.go_on = trio.Event()
        self.cancelled = False
        self.draining: list[bool] = []

    async def __call__(self, scope, receive, send) -> None:
        self.draining.append(scope["state"]["draining"])
        self.begun.set()
        try:
            await self.go_on.wait()
        except trio.Cancelled:
            self.cancelled = True
            raise
        await hello(scope, receive, send)


def far() -> float:
    return trio.current_time() + 60


async def test_new_connections_are_refused_at_once() -> None:
    gate = Gate()
    async with serving(gate) as shell, shell.client() as client:
        await client.send(GET)
        await gate.begun.wait()
        address = shell.listeners[0].socket.getsockname()
        shell.server.drain(far())
        with trio.socket.socket() as sock, pytest.raises(ConnectionRefusedError):
            await sock.connect(address)
        gate.go_on.set()
        assert (await client.answer()).status == 200


async def test_idle_connections_close_and_then_the_server_has_stopped() -> None:
    async with serving(hello) as shell, shell.client() as used, shell.client() as fresh:
        assert (await used.get()).status == 200
        await shell.until_resting(2)
        shell.server.drain(far())
        assert await used.closed()
        assert await fresh.closed()
        await shell.stopped.wait()
        assert shell.server.statistics().draining


async def test_a_request_on_its_way_over_an_idle_connection_is_answered_and_ends_it() -> None:
    async with serving(hello) as shell, shell.client() as used, shell.client() as fresh:
        assert (await used.get()).status == 200
        await shell.until_resting(2)
        shell.server.drain(far())
        await used.send(GET)
        await fresh.send(GET)
        for client in (used, fresh):
            answer = await client.answer()
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            assert await client.closed()
        await shell.stopped.wait()


async def test_a_request_in_progress_is_answered_and_ends_its_connection() -> None:
    gate = Gate()
    async with serving(gate) as shell, shell.client() as client:
        await client.send(GET)
        await gate.begun.wait()
        shell.server.drain(far())
        gate.go_on.set()
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await client.closed()
        await shell.stopped.wait()


async def test_a_request_whose_head_is_still_arriving_reaches_the_application_as_draining() -> None:
    seen: list[bool] = []

    async def app(scope, receive, send) -> None:
        seen.append(scope["state"]["draining"])
        await respond(send, 503, b"draining")

    async with serving(app) as shell, shell.client() as client:
        assert (await client.get()).status == 503
        await client.send(GET[:10])
        await shell.until_resting(1)
        with trio.move_on_after(0.05):
            await client.answer()
        shell.server.drain(far())
        answer = await client.get(GET[10:])
        assert (answer.status, answer.headers["connection"]) == (503, "close")
        await shell.stopped.wait()
    assert seen == [False, True]


async def test_a_response_that_had_begun_ends_its_connection_too() -> None:
    go_on = trio.Event()

    async def app(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"6")]})
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"def", "more_body": False})

    async with serving(app) as shell, shell.client() as client:
        await client.send(GET)
        await client.stream.receive_some(1)
        shell.server.drain(far())
        go_on.set()
        assert not await client.closed()
        await shell.stopped.wait()


async def test_a_connection_that_waits_for_room_is_closed_unserved() -> None:
    gate = Gate()
    async with serving(gate, max_connections=1) as shell, shell.client() as busy:
        await busy.send(GET)
        await gate.begun.wait()
        async with shell.client() as newcomer:
            await newcomer.send(GET)
            with trio.move_on_after(0.05):
                await newcomer.answer()
            shell.server.drain(far())
            assert await newcomer.closed()
        gate.go_on.set()
        assert (await busy.answer()).status == 200
        await shell.stopped.wait()
    assert gate.draining == [False]


async def test_an_answer_while_draining_survives_a_body_that_nobody_read() -> None:
    async def app(scope, receive, send) -> None:
        await respond(send, 503, b"draining")

    async with serving(app) as shell, shell.client() as client:
        await client.send(b"POST / HTTP/1.1\r\n")
        with trio.move_on_after(0.05):
            await client.answer()
        shell.server.drain(far())
        await client.send(b"Host: x\r\nContent-Length: 3000000\r\n\r\n" + b"x" * 3_000_000)
        assert (await client.answer()).body == b"draining"


async def test_what_is_left_at_the_deadline_is_cancelled() -> None:
    gate = Gate()
    async with serving(gate) as shell, shell.client() as client:
        await client.send(GET)
        await gate.begun.wait()
        shell.server.drain(trio.current_time() + 0.1)
        await shell.stopped.wait()
        assert gate.cancelled
        assert await client.closed()


async def test_a_second_drain_may_only_bring_the_end_nearer() -> None:
    gate = Gate()
    async with serving(gate) as shell, shell.client() as client:
        await client.send(GET)
        await gate.begun.wait()
        shell.server.drain(trio.current_time() + 60)
        shell.server.drain(trio.current_time())
        await shell.stopped.wait()
        assert gate.cancelled


async def test_a_server_drained_before_it_runs_ends_at_once() -> None:
    settings = ServerSettings(bind=(ANYWHERE,))
    server = Server(hello, open_listeners(settings, {}), settings, lambda status, seconds: None)
    server.drain(far())
    with trio.fail_after(5):
        await server.run()


async def test_a_cancelled_server_closes_everything() -> None:
    gate = Gate()
    async with serving(gate) as shell, shell.client() as client:
        await client.send(GET)
        await gate.begun.wait()
        listener = shell.listeners[0].socket
        shell.nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True), trio.fail_after(5):
            assert await client.closed()
            assert gate.cancelled
            while listener.fileno() != -1:
                await trio.lowlevel.checkpoint()
