"""The load client against servers that are slow, or hang up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from tests.bench import children
from tests.bench.load_client import LOST, Job, Sent
from tests.bench.processes import CORES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nOK"
_REQUEST = Sent("POST", "/", body="x")
_WITHIN = 20


async def _served(nursery: trio.Nursery, handler: Callable[[trio.SocketStream], Awaitable[None]]) -> int:
    listeners: list[trio.SocketListener] = await nursery.start(trio.serve_tcp, handler, 0)
    return listeners[0].socket.getsockname()[1]


async def test_a_connection_that_is_lost_costs_its_request_and_no_other(nursery: trio.Nursery) -> None:
    connections: list[trio.SocketStream] = []

    async def hangs_up_first(stream: trio.SocketStream) -> None:
        connections.append(stream)
        first = len(connections) == 1
        async with stream:
            while await stream.receive_some():
                if first:
                    return
                await stream.send_all(_OK)

    port = await _served(nursery, hangs_up_first)
    with trio.fail_after(_WITHIN):
        report = await children.attempt(Job("127.0.0.1", port, [_REQUEST], 10, connections=2), CORES)
    assert sorted(answer.status for answer in report.answers) == [LOST, *[200] * 9]
    assert next(answer.body for answer in report.answers if not answer.good).startswith("lost: ")


async def test_an_idle_connection_that_is_lost_costs_an_open_loop_nothing(nursery: trio.Nursery) -> None:
    crossed = 0

    async def answers_once(stream: trio.SocketStream) -> None:
        nonlocal crossed
        async with stream:
            await stream.receive_some()
            await stream.send_all(_OK)
            await stream.send_eof()
            # On a busy machine one may be sent before its sender can know.
            crossed += bool(await stream.receive_some())

    port = await _served(nursery, answers_once)
    with trio.fail_after(_WITHIN):
        report = await children.attempt(Job("127.0.0.1", port, [_REQUEST], 10, connections=4, rate=20), CORES)
    assert crossed < 5
    assert sorted(answer.status for answer in report.answers) == [LOST] * crossed + [200] * (10 - crossed)


async def test_what_waits_for_a_slow_answer_counts_from_when_it_was_due(nursery: trio.Nursery) -> None:
    async def slow_at_first(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some()
            await trio.sleep(0.5)
            await stream.send_all(_OK)
            while await stream.receive_some():
                await stream.send_all(_OK)

    port = await _served(nursery, slow_at_first)
    job = Job("127.0.0.1", port, [_REQUEST], 10, connections=1, most=1, rate=100)
    with trio.fail_after(_WITHIN):
        report = await children.attempt(job, CORES)
    assert [(answer.due - report.began) // 10_000_000 for answer in report.answers] == list(range(10))
    assert all(answer.milliseconds >= 400 for answer in report.answers)
    assert max(report.late) < 400
