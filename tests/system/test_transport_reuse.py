"""Kept connections: used again when that is safe, never otherwise. There is no second attempt."""

from __future__ import annotations

import random
import select

import pytest
import trio
from wire import OK, answering, failing, open_sockets, post, receiver, request_from, reset, transport, until_closed

from daemon.egress import AddressPolicy

DELIVERIES_EACH = 625


async def test_requests_of_one_key_share_a_connection() -> None:
    async with transport() as egress, receiver(answering()) as port:
        uses = [(await post(egress, f"http://127.0.0.1:{port}/"))[1].reused for _ in range(5)]
        assert uses == [False, True, True, True, True]
        assert egress.statistics().opened == 1


async def test_no_connection_is_shared_between_keys() -> None:
    async with transport() as egress, receiver(answering()) as port:
        for key in range(3):
            _, exchange = await post(egress, f"http://127.0.0.1:{port}/", key=key)
            assert not exchange.reused
        assert egress.statistics().idle == 3


async def test_a_changed_url_opens_a_new_connection_and_closes_the_old() -> None:
    async with transport() as egress, receiver(answering()) as one, receiver(answering()) as other:
        await post(egress, f"http://127.0.0.1:{one}/")
        _, exchange = await post(egress, f"http://127.0.0.1:{other}/")
        assert not exchange.reused
        assert exchange.remote_address == f"127.0.0.1:{other}"
        assert egress.statistics().idle == 1


async def test_another_path_of_the_same_origin_uses_the_connection_again() -> None:
    async with transport() as egress, receiver(answering()) as port:
        await post(egress, f"http://127.0.0.1:{port}/a")
        assert (await post(egress, f"http://127.0.0.1:{port}/b"))[1].reused


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=0\r\nContent-Length: 2\r\n\r\nok",
        OK + b"X",
        OK + b"HTTP/1.1 500 Forged\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n" + b"a" * 70000,
        b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello",
    ],
)
async def test_a_connection_unfit_for_more_is_closed_at_once(response: bytes) -> None:
    async with transport() as egress, receiver(answering(response)) as port:
        for _ in range(3):
            answer, exchange = await post(egress, f"http://127.0.0.1:{port}/")
            assert answer.status_code == int(response[9:12])
            assert not exchange.reused
        assert egress.statistics().idle == 0


async def test_garbage_after_a_response_does_not_poison_the_next() -> None:
    said = trio.Event()

    async def handle(stream: trio.abc.Stream) -> None:
        await request_from(stream)
        await stream.send_all(OK)
        await stream.send_all(b"HTTP/1.1 500 Forged\r\nContent-Length: 0\r\n\r\n")
        said.set()
        await until_closed(stream)

    async with transport() as egress, receiver(handle) as port:
        await post(egress, f"http://127.0.0.1:{port}/")
        await said.wait()
        response, exchange = await post(egress, f"http://127.0.0.1:{port}/")
        assert response.status_code == 200
        assert not exchange.reused


@pytest.mark.parametrize("goodbye", ["fin", "rst"])
async def test_a_connection_the_peer_has_closed_is_noticed_before_a_byte_is_sent(goodbye: str) -> None:
    closed = trio.Event()

    async def handle(stream: trio.SocketStream) -> None:
        await request_from(stream)
        await stream.send_all(OK)
        if goodbye == "rst":
            reset(stream)
        else:
            await stream.aclose()
        closed.set()

    async with transport() as egress, receiver(handle) as port:
        await post(egress, f"http://127.0.0.1:{port}/")
        await closed.wait()
        closed = trio.Event()
        response, exchange = await post(egress, f"http://127.0.0.1:{port}/")
        assert response.status_code == 200
        assert not exchange.reused
        assert egress.statistics().stale == 1


async def test_a_connection_closed_on_the_second_request_is_lost_and_not_tried_again() -> None:
    requests = 0

    async def handle(stream: trio.abc.Stream) -> None:
        nonlocal requests
        while await request_from(stream) is not None:
            requests += 1
            if requests == 2:
                return
            await stream.send_all(OK)

    async with transport() as egress, receiver(handle) as port:
        await post(egress, f"http://127.0.0.1:{port}/")
        error, exchange = await failing(egress, f"http://127.0.0.1:{port}/")
        assert error.code == "connection_lost"
        assert exchange.reused
    assert requests == 2


async def test_an_answer_that_does_not_come_over_a_kept_connection_is_a_timeout() -> None:
    async def handle(stream: trio.abc.Stream) -> None:
        await request_from(stream)
        await stream.send_all(OK)
        await until_closed(stream)

    async with transport() as egress, receiver(handle) as port:
        await post(egress, f"http://127.0.0.1:{port}/")
        with trio.fail_after(1):
            error, exchange = await failing(egress, f"http://127.0.0.1:{port}/", within=0.2)
        assert error.code == "response_timeout"
        assert exchange.reused
        assert exchange.total is not None
        assert 200 <= exchange.total <= 400
        assert egress.statistics().idle == 0


@pytest.mark.parametrize("hint", [b"", b"Keep-Alive: timeout=5, max=100\r\n"])
async def test_http_1_0_keeps_a_connection_that_it_says_it_keeps(hint: bytes) -> None:
    said = b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + hint + b"Content-Length: 2\r\n\r\nok"
    async with transport() as egress, receiver(answering(said)) as port:
        await post(egress, f"http://127.0.0.1:{port}/")
        assert (await post(egress, f"http://127.0.0.1:{port}/"))[1].reused


async def test_idle_connections_are_closed_when_their_time_is_over() -> None:
    closed = trio.Event()

    async def handle(stream: trio.abc.Stream) -> None:
        await answering()(stream)
        closed.set()

    async with transport(keep_alive=0.05) as egress, receiver(handle) as port, trio.open_nursery() as nursery:
        for _ in range(2):
            await post(egress, f"http://127.0.0.1:{port}/")
            with trio.fail_after(1):
                await closed.wait()
            assert egress.statistics().idle == 0
            closed = trio.Event()
        nursery.cancel_scope.cancel()


async def test_an_expired_connection_is_not_used_even_if_nothing_closed_it() -> None:
    async with transport(keep_alive=0.01) as egress, receiver(answering()) as port:
        await post(egress, f"http://127.0.0.1:{port}/")
        await trio.sleep(0.02)
        assert not (await post(egress, f"http://127.0.0.1:{port}/"))[1].reused


async def test_the_peers_hint_shortens_the_time() -> None:
    hinting = b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok"
    async with transport(keep_alive=60) as egress, receiver(answering(hinting)) as port:
        await post(egress, f"http://127.0.0.1:{port}/")
        assert (await post(egress, f"http://127.0.0.1:{port}/"))[1].reused
        await trio.sleep(0.6)
        assert not (await post(egress, f"http://127.0.0.1:{port}/"))[1].reused


async def test_the_peers_hint_does_not_lengthen_the_time() -> None:
    closed = trio.Event()

    async def handle(stream: trio.abc.Stream) -> None:
        await answering(b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=600\r\nContent-Length: 2\r\n\r\nok")(stream)
        closed.set()

    async with transport(keep_alive=0.05) as egress, receiver(handle) as port:
        await post(egress, f"http://127.0.0.1:{port}/")
        with trio.fail_after(1):
            await closed.wait()
        assert egress.statistics().idle == 0


async def test_keep_alive_zero_keeps_nothing() -> None:
    async with transport(keep_alive=0) as egress, receiver(answering()) as port:
        await post(egress, f"http://127.0.0.1:{port}/")
        assert egress.statistics().idle == 0


async def test_the_oldest_idle_connection_makes_room() -> None:
    async with transport(kept_connections=3) as egress, receiver(answering()) as port:
        for key in range(5):
            await post(egress, f"http://127.0.0.1:{port}/", key=key)
        assert egress.statistics().idle == 3
        assert (await post(egress, f"http://127.0.0.1:{port}/", key=4))[1].reused
        assert not (await post(egress, f"http://127.0.0.1:{port}/", key=0))[1].reused


async def test_closing_the_transport_leaves_no_socket_open() -> None:
    before = open_sockets()
    async with receiver(answering()) as port, transport() as egress:
        for key in range(20):
            await post(egress, f"http://127.0.0.1:{port}/", key=key)
    assert open_sockets() <= before


async def test_a_peer_that_closes_idle_connections_at_random_fails_nothing_and_gets_nothing_twice() -> None:
    chance = random.Random(7)
    arrived: list[bytes] = []

    async def handle(stream: trio.SocketStream) -> None:
        while True:
            data = await request_from(stream)
            if data is None:
                return
            arrived.append(data.rpartition(b"\r\n")[2])
            await stream.send_all(OK)
            with trio.move_on_after(chance.choice([0, 0.0005, 0.002, 0.01])):
                await trio.lowlevel.wait_readable(stream.socket)
            # Closed only while nothing has arrived: what crosses a request on its way nobody can tell from an answer.
            if not select.select([stream.socket.fileno()], [], [], 0)[0]:
                return

    async def sender(key: int, port: int) -> None:
        random_pause = random.Random(key)
        for number in range(DELIVERIES_EACH):
            response, _ = await post(egress, f"http://127.0.0.1:{port}/", b"%d/%d" % (key, number), key=key)
            assert response.status_code == 200
            await trio.sleep(random_pause.choice([0, 0.0005, 0.002, 0.01]))

    async with transport() as egress, receiver(handle) as port:
        async with trio.open_nursery() as nursery:
            for key in range(16):
                nursery.start_soon(sender, key, port)
        statistics = egress.statistics()
    assert sorted(arrived) == sorted(b"%d/%d" % (key, number) for key in range(16) for number in range(DELIVERIES_EACH))
    assert statistics.reused > 0
    assert statistics.stale > 0


async def test_a_policy_replaced_is_in_force_for_the_next_connection() -> None:
    async with transport() as egress, receiver(answering()) as port:
        await post(egress, f"http://127.0.0.1:{port}/")
        egress.policy = AddressPolicy()
        error, _ = await failing(egress, f"http://127.0.0.1:{port}/", key=2)
        assert error.code == "blocked_address"
