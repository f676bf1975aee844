"""`listen`: a real receiver on a real socket."""

from __future__ import annotations

import base64
import os
import signal
import socket
import struct
import subprocess
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx
import pytest
import trio
from harness.api import PLAIN_HTTP
from standardwebhooks import Webhook

from daemon.cli.receiver import BODY_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
BODY = b'{"Event":"onboard.session.completed","Session":{"Id":"\\u001b[2J"}}'


class Listener:
    """`listen` as a process; its output as it comes."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.text = ""
        self._more = trio.Event()

    async def follow(self, stream: trio.abc.ReceiveStream) -> None:
        async with stream:
            async for chunk in stream:
                self.text += chunk.decode()
                self._more.set()
                self._more = trio.Event()

    async def says(self, words: str) -> None:
        with trio.move_on_after(10):
            while words not in self.text:
                await self._more.wait()
        assert words in self.text

    @property
    def port(self) -> int:
        return int(self.text.partition("127.0.0.1:")[2].partition("/")[0])

    async def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        with trio.fail_after(10):
            return await self.process.wait()


@asynccontextmanager
async def listening(*arguments: str, environment: Mapping[str, str] | None = None) -> AsyncIterator[Listener]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TENANT_WEBHOOKS_")}
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "daemon.cli", "listen", "--port", "0", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**kept, **(environment or {})},
    )
    try:
        async with trio.open_nursery() as nursery:
            listener = Listener(process)
            assert process.stdout is not None
            nursery.start_soon(listener.follow, process.stdout)
            await listener.says("until Ctrl-C")
            yield listener
            nursery.cancel_scope.cancel()
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


def signed(id: str, body: bytes = BODY) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "webhook-id": id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign(id, now, body.decode()),
    }


async def test_it_verifies_what_comes_drops_duplicates_visibly_and_ends_with_0_on_ctrl_c() -> None:
    async with (
        listening(environment={"TENANT_WEBHOOKS_SECRET": SECRET}) as listener,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{listener.port}", trust_env=False, verify=PLAIN_HTTP) as client,
    ):
        assert (await client.post("/hooks", content=BODY, headers=signed("evt_1"))).status_code == 200
        await listener.says("POST /hooks → 200  verified")
        await listener.says('"Event": "onboard.session.completed"')
        assert "\x1b" not in listener.text
        assert (await client.post("/hooks", content=BODY, headers=signed("evt_1"))).status_code == 200
        await listener.says("DUPLICATE of evt_1, dropped")
        assert listener.text.count('"Event"') == 1
        assert (await client.post("/hooks", content=BODY + b" ", headers=signed("evt_2"))).status_code == 401
        await listener.says("REFUSED: No matching signature found")
        assert (await client.get("/")).status_code == 405
        assert SECRET not in listener.text
        assert await listener.end() == 0


async def test_without_a_secret_it_shows_and_says_that_nothing_is_verified() -> None:
    async with listening() as listener, httpx.AsyncClient(trust_env=False, verify=PLAIN_HTTP) as client:
        await listener.says("No secret given")
        url = f"http://127.0.0.1:{listener.port}/"
        assert (await client.post(url, content=BODY, headers=signed("evt_1"))).status_code == 200
        await listener.says("not verified")


async def test_senders_that_break_the_rules_do_not_end_it() -> None:
    async def answer_to(request: bytes) -> bytes:
        with trio.fail_after(10):
            async with await trio.open_tcp_stream("127.0.0.1", listener.port) as stream:
                await stream.send_all(request)
                await stream.send_eof()
                return b"".join([chunk async for chunk in stream]).partition(b"\r\n")[0]

    def reset_after(request: bytes) -> None:
        with socket.create_connection(("127.0.0.1", listener.port)) as sender:
            sender.sendall(request)
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    head = b"POST / HTTP/1.1\r\nHost: x\r\n"
    too_much = BODY_BYTES + 1
    async with listening() as listener:
        assert await answer_to(b"\x16\x03\x01 rubbish\r\n\r\n") == b"HTTP/1.1 400 "
        assert await answer_to(b"") == b""
        reset_after(head)
        assert await answer_to(head + b"Content-Length: 10\r\n\r\nshort") in (b"", b"HTTP/1.1 400 ")
        assert await answer_to(head + b"X: " + b"x" * 70_000) == b"HTTP/1.1 431 "
        assert await answer_to(head + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}") == b"HTTP/1.1 200 "
        assert await answer_to(head + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n") == b"HTTP/1.1 200 "
        assert await answer_to(head + b"Content-Length: %d\r\n\r\n" % too_much + b"x" * too_much) == b"HTTP/1.1 413 "
        assert await answer_to(head + b"Content-Length: 2\r\n\r\n{}") == b"HTTP/1.1 200 "
        assert await listener.end() == 0


async def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    with trio.fail_after(10):
        return await trio.run_process(
            [sys.executable, "-m", "daemon.cli", "listen", *arguments],
            check=False,
            capture_stdout=True,
            capture_stderr=True,
        )


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = await run("--port", str(port))
    assert result.returncode == 1
    assert f"port {port}".encode() in result.stderr
    assert b"Traceback" not in result.stderr


@pytest.mark.parametrize("secret", ["hunter2", "whsec_", "whsec_***"])
async def test_a_secret_that_is_none_is_a_matter_of_usage(secret: str) -> None:
    result = await run("--port", "0", "--secret", secret)
    assert result.returncode == 2
    assert b"hunter2" not in result.stderr
