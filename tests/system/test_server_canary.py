"""What hypercorn, quart-trio and h11 do by themselves. Each test is the reason for an override of ours: when one goes
red, the library has changed, and the override must be looked at again (and can perhaps go)."""

from __future__ import annotations

import inspect
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import h2.config
import h2.connection
import h2.events
import h11
import pytest
import trio
from hypercorn.config import Config
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.trio import serve
from quart_trio import QuartTrio
from server_shell import GET, Client, respond
from test_server_attacks import H2C, REFUSED, WEBSOCKET

from daemon.front_end.asgi import HTTPConnection, Request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DEADLY = {
    "a byte behind a websocket upgrade": WEBSOCKET + b"\x81",
    "HTTP/2 with a non-ASCII path": REFUSED["HTTP/2 with a non-ASCII path"],
}


async def plain(scope, receive, send) -> None:
    """Answers 404 to everything, before any body has come."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "http":
        await respond(send, 404, b"")


@asynccontextmanager
async def stock(app: object) -> AsyncIterator[Client]:
    """A client of a stock hypercorn, with 5 s to live."""
    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.errorlog = None
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            (bind,) = await nursery.start(serve, app, config)
            async with await trio.open_tcp_stream("127.0.0.1", int(bind.rpartition(":")[2])) as stream:
                yield Client(stream)
                nursery.cancel_scope.cancel()


@pytest.mark.parametrize("attack", DEADLY.values(), ids=DEADLY)
async def test_stock_hypercorn_dies_of(attack: bytes) -> None:
    async def run() -> None:
        async with stock(plain) as client:
            await client.send(attack)
            await trio.sleep_forever()

    with pytest.raises(ExceptionGroup) as caught:
        await run()
    assert not caught.group_contains(trio.TooSlowError)


async def test_stock_hypercorn_dies_of_http_2_data_after_an_early_404() -> None:
    peer = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    peer.initiate_connection()
    peer.send_headers(1, [(":method", "POST"), (":path", "/"), (":scheme", "http"), (":authority", "x")])

    async def run() -> None:
        async with stock(plain) as client:
            await client.send(peer.data_to_send())
            answered = False
            while not answered:
                events = peer.receive_data(await client.stream.receive_some())
                answered = any(isinstance(event, h2.events.StreamEnded) for event in events)
            peer.send_data(1, b"x")
            await client.send(peer.data_to_send())
            await trio.sleep_forever()

    with pytest.raises(ExceptionGroup) as caught:
        await run()
    assert not caught.group_contains(trio.TooSlowError)


async def test_stock_hypercorn_upgrades_to_h2c_on_anybodys_word() -> None:
    async with stock(plain) as client:
        assert (await client.get(H2C)).status == 101


async def test_stock_hypercorn_serves_a_request_with_both_lengths() -> None:
    async with stock(plain) as client:
        assert (await client.get(REFUSED["both lengths"])).status == 404


async def test_stock_hypercorn_names_itself() -> None:
    async with stock(plain) as client:
        assert (await client.get()).headers["server"] == "hypercorn-h11"


def test_hypercorns_stream_uses_nothing_of_a_task_group_but_spawn_app() -> None:
    source = inspect.getsource(HTTPStream)
    assert source.count("self.task_group") == 2
    assert "self.task_group = task_group" in source
    assert "self.task_group.spawn_app(" in source


def test_h11_takes_a_repeated_length_for_one() -> None:
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n")
    event = parser.next_event()
    assert isinstance(event, h11.Request)
    assert [value for name, value in event.headers if name == b"content-length"] == [b"1"]


def test_h11_gives_back_what_it_has_not_read() -> None:
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(GET + b"rest")
    parser.next_event()
    assert parser.trailing_data == (b"rest", False)


@pytest.mark.parametrize(("kind", "cancelled"), [(QuartTrio.asgi_http_class, True), (HTTPConnection, False)])
async def test_a_disconnect_during_the_response_cancels_it_in_stock_quart_trio_alone(
    kind: type[HTTPConnection], *, cancelled: bool
) -> None:
    class App(QuartTrio):
        asgi_http_class = kind
        request_class = Request

    app = App(__name__)
    disconnected, ended = trio.Event(), []

    @app.get("/")
    async def root() -> str:
        return "hello"

    async def receive() -> dict[str, object]:
        await disconnected.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, object]) -> None:
        if not message.get("more_body", True):
            disconnected.set()
            for _ in range(10):
                await trio.lowlevel.checkpoint()
            ended.append(message["type"])

    scope = {"type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": "/", "headers": []}
    with trio.fail_after(5):
        await app(scope | {"query_string": b"", "root_path": ""}, receive, send)
    assert bool(ended) is not cancelled
