"""A Quart application behind the server: bodies that are read on demand, and limits on them."""

from __future__ import annotations

import json

import pytest
import trio
from quart import request
from server_shell import serving

from daemon.front_end.asgi import Application


def application() -> Application:
    app = Application(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 1000

    @app.post("/whole")
    async def whole() -> str:
        return str(len(await request.get_data()))

    @app.post("/parts")
    async def parts() -> str:
        return str(sum([len(part) async for part in request.body]))

    @app.post("/ignored")
    async def ignored() -> tuple[str, int]:
        return "no", 401

    @app.get("/")
    async def root() -> str:
        return request.scope["state"]["role"]

    return app


def post(path: str, size: int) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()


@pytest.mark.parametrize("path", ["/whole", "/parts"])
async def test_a_body_arrives_whole_however_it_is_cut(path: str) -> None:
    async with serving(application()) as shell, shell.client() as client:
        assert (await client.get(post(path, 0))).body == b"0"
        await client.send(post(path, 300) + b"x" * 100)
        for _ in range(20):
            await trio.lowlevel.checkpoint()
        assert (await client.get(b"x" * 200)).body == b"300"
        assert (await client.get()).body == b"main"


@pytest.mark.parametrize("path", ["/whole", "/parts"])
async def test_a_body_over_the_limit_is_413_whether_declared_or_not(path: str) -> None:
    chunked = f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    async with serving(application()) as shell:
        for request_ in (post(path, 5_000_000) + b"x" * 5_000_000, (chunked + b"1000\r\n" + b"x" * 4096 + b"\r\n")):
            async with shell.client() as client:
                answer = await client.get(request_)
                assert (answer.status, answer.headers["connection"]) == (413, "close")


async def test_a_handler_that_ignores_its_body_keeps_the_connection_if_the_body_is_there() -> None:
    async with serving(application()) as shell, shell.client() as client:
        assert (await client.get(post("/ignored", 5) + b"12345")).status == 401
        assert (await client.get()).status == 200


async def test_half_a_body_is_408_and_the_handler_is_gone() -> None:
    async with serving(application(), request_timeout=0.1) as shell, shell.client() as client:
        answer = await client.get(post("/whole", 10) + b"12345")
        assert (answer.status, json.loads(answer.body)["type"]) == (408, "/problems/invalid")
        assert await client.closed()


async def test_a_body_cut_short_by_a_half_close_is_400() -> None:
    async with serving(application()) as shell, shell.client() as client:
        await client.send(post("/whole", 10) + b"12345")
        await client.stream.send_eof()
        assert (await client.answer()).status == 400


async def test_the_application_runs_with_quarts_own_test_client() -> None:
    client = application().test_client()
    answer = await client.post("/whole", data=b"12345")
    assert await answer.get_data() == b"5"
