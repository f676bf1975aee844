"""What a hostile client may send to the front end: it gets its 400, is closed, and nobody else notices."""

from __future__ import annotations

import json

import h2.config
import h2.connection
import pytest
from server_shell import GET, hello, respond, serving

from daemon.front_end.protocol import MOST_CHUNKS

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def h2_request(path: bytes, *, data: bytes = b"") -> bytes:
    """Cleartext HTTP/2 with prior knowledge: preface, one request, and DATA after it."""
    config = h2.config.H2Configuration(header_encoding=None, validate_outbound_headers=False)
    connection = h2.connection.H2Connection(config)
    connection.initiate_connection()
    head = [(b":method", b"POST"), (b":path", path), (b":scheme", b"http"), (b":authority", b"x")]
    connection.send_headers(1, head, end_stream=not data)
    if data:
        connection.send_data(1, data)
    return connection.data_to_send()


REFUSED = {
    "an HTTP/2 preface": PREFACE,
    "HTTP/2 with a non-ASCII path": h2_request(b"/\xff\xc3"),
    "HTTP/2 DATA after an early 404": h2_request(b"/nowhere", data=b"x" * 100),
    "HTTP/3.0": b"GET / HTTP/3.0\r\nHost: x\r\n\r\n",
    "both lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "the same length twice": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\ncontent-length: 1\r\n\r\nx",
    "two lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "two lengths in one line": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 2\r\n\r\nxx",
    "the same length twice in one line": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 1\r\n\r\nx",
    "a folded length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n 1\r\n\r\nx",
    "a folded coding": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n\tchunked\r\n\r\n0\r\n\r\n",
    "a length folded into another header": b"POST / HTTP/1.1\r\nHost: x\r\nA: b\r\n Content-Length: 1\r\n\r\nx",
    "a line feed alone in a header": b"GET / HTTP/1.1\r\nHost: x\r\nA: b\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "line feeds alone": b"GET / HTTP/1.1\nHost: x\n\n",
    "a signed length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\nx",
    "chunked in HTTP/1.0": b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a bad chunk": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "an absolute target": b"GET http://127.0.0.1/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "a tunnel": b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a tunnel to a path": b"CONNECT / HTTP/1.1\r\nHost: x\r\n\r\n",
    "an asterisk": b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
    "a bare query": b"GET ?a=b HTTP/1.1\r\nHost: x\r\n\r\n",
    "a non-ASCII path": "GET /ü HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
    "a zero in a header": b"GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n",
    "a space before the colon": b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length : 1\r\n\r\nx",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "a host with a space": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "a host with a path": b"GET / HTTP/1.1\r\nHost: x/../y\r\n\r\n",
    "a host that is not ASCII": b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n",
    "a host without end": b"GET / HTTP/1.1\r\nHost: " + b"x" * 5000 + b"\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40),
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
}
STATUS = {
    431: b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 70_000,
    501: b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
}
CASES = [pytest.param(400, data, id=name) for name, data in REFUSED.items()]
CASES += [pytest.param(status, data, id=str(status)) for status, data in STATUS.items()]


@pytest.mark.parametrize(("status", "attack"), CASES)
async def test_malformed_http_gets_a_problem_and_is_closed_while_others_are_served(status: int, attack: bytes) -> None:
    async with serving(hello) as shell, shell.client() as other:
        assert (await other.get()).status == 200
        async with shell.client() as client:
            await client.send(attack)
            answer = await client.answer()
            await client.stream.send_eof()
            assert await client.closed()
        assert answer.status == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["connection"] == "close"
        document = json.loads(answer.body)
        assert (document["type"], document["status"]) == ("/problems/invalid", status)
        assert (await other.get()).status == 200


@pytest.mark.parametrize("name", ["both lengths", "the same length twice"])
async def test_nothing_is_served_after_a_request_whose_length_is_unclear(name: str) -> None:
    served: list[str] = []

    async def app(scope, receive, send) -> None:
        served.append(scope["path"])
        await respond(send, 200, b"")

    async with serving(app) as shell, shell.client() as client:
        await client.send(REFUSED[name] + b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await client.answer()).status == 400
        assert await client.closed()
    assert served == []


WEBSOCKET = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)
H2C = (
    b"GET /h2c HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
)


@pytest.mark.parametrize("request_", [WEBSOCKET, H2C], ids=["websocket", "h2c"])
async def test_an_upgrade_is_ignored(request_: bytes) -> None:
    async with serving(hello) as shell, shell.client() as client:
        answer = await client.get(request_)
        assert (answer.status, answer.body.split()[0]) == (200, b"GET")
        assert "upgrade" not in answer.headers
        assert (await client.get()).status == 200


async def test_a_byte_behind_a_websocket_upgrade_harms_nobody() -> None:
    async with serving(hello) as shell:
        async with shell.client() as client:
            assert (await client.get(WEBSOCKET + b"\x81")).status == 200
            await client.stream.send_eof()
            assert (await client.answer()).status == 400
            assert await client.closed()
        async with shell.client() as client:
            assert (await client.get()).status == 200


async def test_frames_behind_an_h2c_upgrade_reach_no_handler() -> None:
    async with serving(hello) as shell:
        async with shell.client() as client:
            assert (await client.get(H2C + h2_request(b"/tunnelled"))).status == 200
            assert (await client.answer()).status == 400
            assert await client.closed()
        async with shell.client() as client:
            assert (await client.get()).status == 200


@pytest.mark.parametrize("path", ["/%ff%fe", "/%00", "/%", "/%zz", "//etc", "/..%2f..", "/a?%ff=%00&&&=", "/\\", "/;"])
async def test_no_path_harms_the_connection(path: str) -> None:
    async with serving(hello) as shell, shell.client() as client:
        assert (await client.get(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())).status == 200
        assert (await client.get(GET)).status == 200


@pytest.mark.parametrize(("size", "status"), [(16_000, 200), (17_000, 431), (60_000, 431)])
async def test_a_head_has_one_limit_however_it_arrives(size: int, status: int) -> None:
    head = GET[:-2] + b"X: " + b"x" * (size - len(GET) - 5) + b"\r\n\r\n"
    async with serving(hello) as shell:
        async with shell.client() as client:
            assert (await client.get(head)).status == status
        async with shell.client() as client:
            await client.send(head[:15_000])
            await shell.until_open(1)
            assert (await client.get(head[15_000:])).status == status


async def test_a_body_in_thousands_of_tiny_chunks_is_refused() -> None:
    async with serving(hello) as shell, shell.client() as client, shell.client() as other:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        await client.send(head + b"1\r\nx\r\n" * MOST_CHUNKS + b"0\r\n\r\n")
        assert (await client.answer()).body == b"POST / main %d" % MOST_CHUNKS
        await client.send(head + b"1\r\nx\r\n" * 10_000)
        answer = await client.answer()
        assert answer.status == 400
        assert b"chunks" in answer.body
        assert (await other.get()).status == 200
