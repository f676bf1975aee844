"""Requests over kept connections: no task waits for their answer, and every end there is finds its caller."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from wire import OK, answering, failing, only_open, open_sockets, post, receiver, request_from, transport, until_closed

from daemon.egress import EgressError, Exchange, check_url, request_head
from daemon.egress.response import ResponseReader

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.egress import EgressTransport
    from daemon.egress.express import Flight

MANY = 50


class Ends:
    """A caller that remembers how often each way to end was taken."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    def answered(self, reader: ResponseReader) -> None:
        self.seen.append(reader.status)

    def failed(self, error: Exception) -> None:
        self.seen.append(error)

    def unfinished(self) -> None:
        self.seen.append("unfinished")

    async def once(self) -> object:
        with trio.fail_after(3):
            while not self.seen:  # noqa: ASYNC110  # it is a caller, not a task: it tells nobody
                await trio.sleep(0.001)
        await trio.testing.wait_all_tasks_blocked(0.002)
        (end,) = self.seen
        return end


def then(handle: Callable[[trio.abc.Stream], Awaitable[None]]) -> Callable[[trio.abc.Stream], Awaitable[None]]:
    """Answers one request well, then does something else with the next."""

    async def run(stream: trio.abc.Stream) -> None:
        await request_from(stream)
        await stream.send_all(OK)
        if await request_from(stream) is not None:
            await handle(stream)

    return run


def launched(egress: EgressTransport, url: str, ends: Ends, *, within: float = 3.0) -> Flight:
    exchange = Exchange(key=1, tenant="acme", deadline=trio.current_time() + within)
    head = request_head(check_url(url, require_https=False), ())
    flight = egress.launch(url, head, b"{}", exchange, ends)
    assert flight is not None
    return flight


async def test_no_task_waits_for_an_answer_over_a_kept_connection() -> None:
    async def hang(stream: trio.abc.Stream) -> None:
        await until_closed(stream)

    async with receiver(then(hang)) as port, transport() as egress:
        url = f"http://127.0.0.1:{port}/"
        async with trio.open_nursery() as nursery:
            for _ in range(MANY):
                nursery.start_soon(post, egress, url)
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert egress.statistics().idle == MANY
        tasks = trio.lowlevel.current_statistics().tasks_living
        flights = [launched(egress, url, Ends()) for _ in range(MANY)]
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert egress.statistics().reused == MANY
        assert trio.lowlevel.current_statistics().tasks_living == tasks
        for flight in flights:
            flight.cut()


@pytest.mark.parametrize("status", [200, 204, 302, 500])
async def test_an_answer_in_one_piece_ends_it_and_keeps_the_connection(status: int) -> None:
    async def answer(stream: trio.abc.Stream) -> None:
        await stream.send_all(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)
        await until_closed(stream)

    async with receiver(then(answer)) as port, transport() as egress:
        url, ends = f"http://127.0.0.1:{port}/", Ends()
        await post(egress, url)
        exchange = launched(egress, url, ends).exchange
        assert await ends.once() == status
        assert egress.statistics().idle == 1
    assert (exchange.reused, exchange.status, exchange.truncated) == (True, status, False)
    assert exchange.first_byte is not None
    assert exchange.total is not None


async def test_the_deadline_ends_it_and_closes_the_connection() -> None:
    async def hang(stream: trio.abc.Stream) -> None:
        await until_closed(stream)

    before = open_sockets()
    async with receiver(then(hang)) as port, transport() as egress:
        url, ends = f"http://127.0.0.1:{port}/", Ends()
        await post(egress, url)
        launched(egress, url, ends, within=0.05)
        error = await ends.once()
        assert isinstance(error, EgressError)
        assert error.code == "response_timeout"
    with trio.fail_after(2):
        await only_open(before)


async def test_an_answer_in_pieces_is_finished_by_whoever_asked() -> None:
    async def drip(stream: trio.abc.Stream) -> None:
        for piece in (b"HTTP/1.1 103 Early\r\n\r\n", OK[:20], OK[20:-1], OK[-1:]):
            await stream.send_all(piece)
            await trio.testing.wait_all_tasks_blocked(0.002)
        await until_closed(stream)

    async with receiver(then(drip)) as port, transport() as egress:
        url = f"http://127.0.0.1:{port}/"
        await post(egress, url)
        response, exchange = await post(egress, url)
        assert exchange.reused
        assert (response.status_code, response.content) == (200, b"ok")
        assert not exchange.truncated
        assert egress.statistics().idle == 1


async def test_a_request_that_does_not_fit_into_the_buffers_is_finished_by_whoever_asked() -> None:
    async with receiver(answering()) as port, transport() as egress:
        url = f"http://127.0.0.1:{port}/"
        await post(egress, url)
        response, exchange = await post(egress, url, b"a" * 8_000_000)
        assert exchange.reused
        assert response.status_code == 200
        assert egress.statistics().idle == 1


async def test_cut_it_tells_nobody_and_leaves_no_socket_open() -> None:
    async def hang(stream: trio.abc.Stream) -> None:
        await until_closed(stream)

    before = open_sockets()
    async with receiver(then(hang)) as port, transport() as egress:
        url, ends = f"http://127.0.0.1:{port}/", Ends()
        await post(egress, url)
        flight = launched(egress, url, ends, within=0.05)
        flight.cut()
        await trio.sleep(0.2)  # its deadline passes: nobody must be told of that either
        assert ends.seen == []
        assert flight.exchange.wrote
    with trio.fail_after(2):
        await only_open(before)


async def test_a_bug_in_reading_one_answer_ends_that_request_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiver(answering()) as port, transport() as egress:
        url, ends = f"http://127.0.0.1:{port}/", Ends()
        await post(egress, url)

        def bug(self: ResponseReader, data: bytes) -> None:
            raise ZeroDivisionError("a bug of ours")

        with monkeypatch.context() as patched:
            patched.setattr(ResponseReader, "feed", bug)
            launched(egress, url, ends)
            assert isinstance(await ends.once(), ZeroDivisionError)
        response, exchange = await post(egress, url)
        assert response.status_code == 200
        assert not exchange.reused


@pytest.mark.parametrize("says", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], ids=["close", "unasked"])
async def test_a_kept_connection_whose_peer_closes_or_speaks_unasked_is_given_up_at_once(says: bytes) -> None:
    go = trio.Event()

    async def handle(stream: trio.abc.Stream) -> None:
        await request_from(stream)
        await stream.send_all(OK)
        await go.wait()
        if says:
            await stream.send_all(says)
            await until_closed(stream)

    before = open_sockets()
    async with receiver(handle) as port, transport(keep_alive=60) as egress:
        await post(egress, f"http://127.0.0.1:{port}/")
        assert egress.statistics().idle == 1
        go.set()
        with trio.fail_after(2):
            while egress.statistics().idle:  # noqa: ASYNC110  # nobody is told
                await trio.sleep(0.001)
        assert egress.statistics().stale == 1
    with trio.fail_after(2):
        await only_open(before)


async def test_an_answer_that_cannot_be_read_ends_it_with_its_code() -> None:
    async def nonsense(stream: trio.abc.Stream) -> None:
        await stream.send_all(b"SSH-2.0\r\n")
        await until_closed(stream)

    async with receiver(then(nonsense)) as port, transport() as egress:
        url = f"http://127.0.0.1:{port}/"
        await post(egress, url)
        error, exchange = await failing(egress, url)
        assert exchange.reused
        assert isinstance(error, EgressError)
        assert error.code == "invalid_response"
        assert egress.statistics().idle == 0
