"""The transport against receivers of every kind: each gives the one right answer, within the deadline."""

from __future__ import annotations

import gzip

import pytest
import trio
from wire import (
    OK,
    answering,
    fail_once,
    failing,
    post,
    post_once,
    receiver,
    request_from,
    reset,
    saying,
    transport,
    until_closed,
)

MEGABYTE = 1024 * 1024


async def test_the_request_is_sent_as_given_with_host_and_length() -> None:
    arrived: list[bytes] = []

    async def handle(stream: trio.abc.Stream) -> None:
        arrived.append(await request_from(stream) or b"")
        await stream.send_all(OK)

    async with receiver(handle) as port:
        response, exchange = await post_once(f"http://127.0.0.1:{port}/hook?a=b", b'{"x":1}')
    assert arrived == [b'POST /hook?a=b HTTP/1.1\r\nhost: 127.0.0.1:%d\r\ncontent-length: 7\r\n\r\n{"x":1}' % port]
    assert (response.status_code, response.content) == (200, b"ok")
    assert exchange.remote_address == f"127.0.0.1:{port}"
    assert exchange.wrote
    assert not exchange.reused
    assert not exchange.truncated
    assert exchange.dns is None
    assert exchange.tls is None
    assert exchange.connect is not None
    assert exchange.first_byte is not None
    assert exchange.total is not None
    assert 0 < exchange.connect <= exchange.first_byte <= exchange.total


@pytest.mark.parametrize("status", [200, 201, 204, 299, 301, 302, 304, 400, 404, 410, 413, 500, 503, 599, 777])
async def test_every_final_status_is_returned_and_no_redirect_followed(status: int) -> None:
    said = b"HTTP/1.1 %d Whatever\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n" % status
    async with receiver(saying(said)) as port:
        response, _ = await post_once(f"http://127.0.0.1:{port}/")
    assert response.status_code == status


@pytest.mark.parametrize(
    ("parts", "body"),
    [
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"2\r\nhi\r\n", b"0\r\nX-T: 1\r\n\r\n"], b"hi"),
        ([b"HTTP/1.0 200 OK\r\n\r\n", b"hi"], b"hi"),
        ([b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early\r\n\r\n", OK], b"ok"),
        ([b"HTTP/1.1 200 OK\r\nX-A: one\r\n two\r\nContent-Length: 2\r\n\r\nhi"], b"hi"),
        ([bytes([byte]) for byte in OK], b"ok"),
        ([b"HTTP/1.1 200 OK\r\nLocation: http://[bad\r\nContent-Length: 2\r\n\r\nhi"], b"hi"),
        ([b'HTTP/1.1 200 OK\r\nAlt-Svc: h3=":1"\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\nhi'], b"hi"),
        ([b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=nonsense\r\nContent-Length: 2\r\n\r\nhi"], b"hi"),
    ],
)
async def test_every_way_to_frame_a_body_is_read(parts: list[bytes], body: bytes) -> None:
    async with receiver(saying(*parts)) as port:
        response, exchange = await post_once(f"http://127.0.0.1:{port}/")
    assert (response.status_code, response.content) == (200, body)
    assert not exchange.truncated


async def test_a_gzip_bomb_is_kept_as_it_came() -> None:
    bomb = gzip.compress(b"\0" * (8 * MEGABYTE))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    async with receiver(saying(head + bomb)) as port:
        response, exchange = await post_once(f"http://127.0.0.1:{port}/")
    assert response.content == response.read() == await response.aread() == bomb[:4096]
    assert exchange.truncated


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"", "connection_lost"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "connection_lost"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "connection_lost"),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "invalid_response"),
        (b"\x15\x03\x01\x00\x02\x02\x16", "invalid_response"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "invalid_response"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100 + OK, "invalid_response"),
        (b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * MEGABYTE, "invalid_response"),
        (b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 100_000, "invalid_response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "invalid_response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "invalid_response"),
        (b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", "invalid_response"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[:30].decode("latin-1"),
)
async def test_what_comes_before_a_final_head_has_its_own_code(said: bytes, code: str) -> None:
    async with receiver(saying(said)) as port:
        error, exchange = await fail_once(f"http://127.0.0.1:{port}/")
    assert error.code == code
    assert error.detail.endswith(".")
    assert exchange.wrote
    assert exchange.total is not None


async def test_a_reset_instead_of_an_answer_is_a_lost_connection() -> None:
    async def handle(stream: trio.SocketStream) -> None:
        await request_from(stream)
        reset(stream)

    async with receiver(handle) as port:
        error, _ = await fail_once(f"http://127.0.0.1:{port}/")
    assert error.code == "connection_lost"


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nX-A: ", b"HTTP/1.1 100 Continue\r\n\r\n"])
async def test_no_complete_head_in_time_is_a_timeout(said: bytes) -> None:
    async def handle(stream: trio.abc.Stream) -> None:
        await request_from(stream)
        await stream.send_all(said)
        await until_closed(stream)

    async with receiver(handle) as port:
        with trio.fail_after(2):
            error, exchange = await fail_once(f"http://127.0.0.1:{port}/", within=0.2)
    assert error.code == "response_timeout"
    assert exchange.wrote


async def dripping(stream: trio.abc.Stream, said: bytes) -> None:
    await request_from(stream)
    await stream.send_all(said)
    while True:
        await trio.sleep(0.02)
        await stream.send_all(b"a")


async def test_a_head_that_drips_cannot_outlast_the_deadline() -> None:
    async with receiver(lambda stream: dripping(stream, b"HTTP/1.1 200 OK\r\nX-A: ")) as port:
        with trio.fail_after(2):
            error, _ = await fail_once(f"http://127.0.0.1:{port}/", within=0.2)
    assert error.code == "response_timeout"


@pytest.mark.parametrize(("within", "at_most"), [(0.3, 0.8), (20, 2.8)])
async def test_a_body_that_drips_is_cut_at_two_seconds_or_the_deadline_and_the_status_stands(
    within: float, at_most: float
) -> None:
    async with receiver(lambda stream: dripping(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")) as port:
        with trio.fail_after(at_most):
            response, exchange = await post_once(f"http://127.0.0.1:{port}/", within=within)
    assert response.status_code == 200
    assert set(response.content) == {ord("a")}
    assert exchange.truncated


async def test_an_endless_body_is_cut_and_its_first_bytes_kept() -> None:
    async def handle(stream: trio.abc.Stream) -> None:
        await request_from(stream)
        await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await stream.send_all(b"a" * MEGABYTE)

    async with receiver(handle) as port:
        with trio.fail_after(2):
            response, exchange = await post_once(f"http://127.0.0.1:{port}/")
    assert (response.status_code, response.content) == (200, b"a" * 4096)
    assert exchange.truncated


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 202 OK\r\nContent-Length: 100\r\n\r\ncut",
        b"HTTP/1.1 202 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ncut\r\n",
        b"HTTP/1.1 202 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ncut\r\nrubbish\r\n",
    ],
)
async def test_a_body_that_breaks_off_does_not_change_the_status(said: bytes) -> None:
    async with receiver(saying(said)) as port:
        response, exchange = await post_once(f"http://127.0.0.1:{port}/")
    assert (response.status_code, response.content) == (202, b"cut")
    assert exchange.truncated


async def test_a_reset_within_the_body_does_not_change_the_status() -> None:
    async def handle(stream: trio.SocketStream) -> None:
        await request_from(stream)
        await stream.send_all(b"HTTP/1.1 202 OK\r\nContent-Length: 100\r\n\r\ncut")
        reset(stream)

    async with receiver(handle) as port:
        response, exchange = await post_once(f"http://127.0.0.1:{port}/")
    assert response.status_code == 202
    assert exchange.truncated


async def test_an_answer_before_the_body_is_sent_decides() -> None:
    async def handle(stream: trio.abc.Stream) -> None:
        await stream.receive_some(1000)
        await stream.send_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await trio.sleep_forever()

    async with transport() as egress, receiver(handle) as port:
        with trio.fail_after(2):
            response, _ = await post(egress, f"http://127.0.0.1:{port}/", b"a" * (32 * MEGABYTE))
        assert (response.status_code, response.content) == (413, b"no")
        assert egress.statistics().idle == 0


async def test_an_answer_and_a_close_before_the_body_is_sent_decide() -> None:
    async def handle(stream: trio.SocketStream) -> None:
        await stream.receive_some(1000)
        await stream.send_all(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")

    async with receiver(handle) as port:
        response, _ = await post_once(f"http://127.0.0.1:{port}/", b"a" * (32 * MEGABYTE))
    assert response.status_code == 413


async def test_a_large_body_arrives_whole() -> None:
    sizes: list[int] = []

    async def handle(stream: trio.abc.Stream) -> None:
        sizes.append(len(await request_from(stream) or b""))
        await stream.send_all(OK)

    async with transport() as egress, receiver(handle) as port:
        response, _ = await post(egress, f"http://127.0.0.1:{port}/", b"a" * (6 * MEGABYTE), within=20)
        assert response.status_code == 200
        assert egress.statistics().idle == 1
    assert 6 * MEGABYTE < sizes[0] < 6 * MEGABYTE + 200


async def test_a_receiver_that_stops_reading_fails_the_sending() -> None:
    async def handle(stream: trio.abc.Stream) -> None:
        await trio.sleep_forever()

    async with receiver(handle) as port:
        with trio.fail_after(2):
            error, _ = await fail_once(f"http://127.0.0.1:{port}/", b"a" * (32 * MEGABYTE), within=0.3)
    assert error.code == "send_failed"


async def test_a_reset_while_sending_fails_the_sending() -> None:
    async def handle(stream: trio.SocketStream) -> None:
        await stream.receive_some(1000)
        reset(stream)

    async with receiver(handle) as port:
        error, exchange = await fail_once(f"http://127.0.0.1:{port}/", b"a" * (32 * MEGABYTE))
    assert error.code == "send_failed"
    assert exchange.wrote


async def test_a_half_closed_peer_still_gets_its_answer_read() -> None:
    async def handle(stream: trio.SocketStream) -> None:
        await request_from(stream)
        await stream.send_all(OK)
        await stream.send_eof()
        await until_closed(stream)

    async with receiver(handle) as port:
        response, _ = await post_once(f"http://127.0.0.1:{port}/")
    assert response.status_code == 200


async def test_a_hanging_receiver_does_not_delay_another() -> None:
    async def hang(stream: trio.abc.Stream) -> None:
        await until_closed(stream)

    async with (
        transport() as egress,
        receiver(hang) as hanging,
        receiver(answering()) as healthy,
        trio.open_nursery() as nursery,
    ):
        for key in range(50):
            nursery.start_soon(lambda key=key: failing(egress, f"http://127.0.0.1:{hanging}/", key=key, within=3))
        with trio.fail_after(2):
            for _ in range(20):
                response, _ = await post(egress, f"http://127.0.0.1:{healthy}/", key=100)
                assert response.status_code == 200
        nursery.cancel_scope.cancel()


async def test_a_proxy_in_the_environment_has_no_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with receiver(answering()) as port:
        response, _ = await post_once(f"http://127.0.0.1:{port}/")
    assert response.status_code == 200
