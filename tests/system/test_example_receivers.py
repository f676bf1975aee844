"""The receivers to copy verify each delivery, do its work once, and leave undone what failed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx
import pytest
import trio
from harness.documents import ROOT
from harness.events import session_event
from harness.foreign import node
from harness.hostile import unused_port
from harness.waiting import eventually
from standardwebhooks import Webhook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from harness.api import Api
    from harness.starting import Daemons

RECEIVERS = ROOT / "config" / "receivers"
PACKAGES = ROOT / "tests" / "system" / "verifiers" / "node_modules"


class Example:
    """A receiver that runs in a folder of its own, and what it has printed."""

    def __init__(self, kind: str, folder: Path, port: int, secret: str) -> None:
        self._folder = folder
        self.port = port
        self.url = f"http://127.0.0.1:{port}/webhooks"
        self._env = {**os.environ, "WEBHOOK_SECRET": secret, "PORT": str(port), "PYTHONUNBUFFERED": "1"}
        if kind == "node":
            shutil.copy(RECEIVERS / "express.mjs", folder)
            (folder / "node_modules").symlink_to(PACKAGES)
            self._command = [node(), "express.mjs"]
        else:
            self._command = [sys.executable, str(RECEIVERS / "receiver.py")]

    def printed(self) -> str:
        return (self._folder / "printed").read_text()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        with (self._folder / "printed").open("ab") as output:
            process = await trio.lowlevel.open_process(
                self._command, cwd=self._folder, env=self._env, stdout=output, stderr=subprocess.STDOUT
            )
        try:

            async def listening() -> bool:
                return "listening on" in self.printed()

            await eventually(listening, "the receiver to listen", within=10)
            yield
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
            (self._folder / "printed").rename(self._folder / "printed-before")


@pytest.fixture(params=["python", "node"])
def kind(request: pytest.FixtureRequest) -> str:
    if request.param == "node" and not (PACKAGES / "express").is_dir():
        pytest.skip("the packages of npm are not installed: `make verifiers` does it")
    return request.param


async def test_each_event_is_verified_and_its_work_done_once_however_often_it_comes(
    kind: str, daemons: Daemons, tmp_path: Path
) -> None:
    daemon = await daemons.start()
    acme = await daemon.tenant()
    port = unused_port()
    webhook = await acme.register(f"http://127.0.0.1:{port}/webhooks")
    example = Example(kind, tmp_path, port, webhook["secret"])
    async with example.running():
        events = await acme.publish(*[session_event(f"s-{number}") for number in range(10)])
        deliveries = await acme.finished(events)
        assert {delivery["statusCode"] for delivery in deliveries} == {204}
        assert example.printed().count("did the work of onboard.session.completed") == 10
        assert await redelivered(acme, deliveries[0]["id"]) == 204
        assert f"a duplicate: {deliveries[0]['event']}" in example.printed()
    async with example.running():
        assert await redelivered(acme, deliveries[0]["id"]) == 204
        assert f"a duplicate: {deliveries[0]['event']}" in example.printed(), "also after a restart"
        assert "did the work" not in example.printed()


async def redelivered(acme: Api, delivery: str) -> int:
    """The status that a redelivery was answered with."""
    again = await acme.ask("POST", f"/v1/deliveries/{delivery}/redeliver")

    async def ended() -> bool:
        return (await acme.delivery(again["id"]))["finished"] is not None

    await eventually(ended, "the redelivery to end", within=10)
    return (await acme.delivery(again["id"]))["statusCode"]


SECRET = "whsec_" + "QUJD" * 8
BODY = b'{"Event":"onboard.session.completed","Session":{"Id":"\xc3\xa9"}}'


def signed(secret: str = SECRET, *, body: bytes = BODY, age: float = 0) -> dict[str, str]:
    at = datetime.now(UTC) - timedelta(seconds=age)
    return {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign("evt_1", at, body.decode()),
    }


async def too_much(kind: str, port: int) -> bytes:
    """The status line for a large body. Express reads it to its end; what answers before has to be sent none of it, or
    the answer may be lost."""
    size = 2 << 20
    head = f"POST /webhooks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {size}\r\n\r\n"
    with trio.fail_after(10):
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(head.encode() + (bytes(size) if kind == "node" else b""))
            return await stream.receive_some()


async def test_what_is_not_genuine_is_refused_and_nothing_is_done(kind: str, tmp_path: Path) -> None:
    example = Example(kind, tmp_path, unused_port(), SECRET)
    good = signed()
    forged = {
        "another body": (good, BODY + b"\n"),
        "another secret": (signed("whsec_" + "QkJC" * 8), BODY),
        "old": (signed(age=600), BODY),
        "from the future": (signed(age=-600), BODY),
        "another id": ({**good, "webhook-id": "evt_2"}, BODY),
        "no signature": ({name: good[name] for name in ("webhook-id", "webhook-timestamp")}, BODY),
        "no headers": ({}, BODY),
        "garbage for a signature": ({**good, "webhook-signature": "garbage"}, BODY),
        "garbage for base64": ({**good, "webhook-signature": "v1,%%%"}, BODY),
        "garbage for a time": ({**good, "webhook-timestamp": "now"}, BODY),
        "no text": (good, b"\xff\xfe"),
        "nothing": (good, b""),
    }
    async with example.running(), httpx.AsyncClient(trust_env=False) as client:
        for what, (headers, body) in forged.items():
            answer = await client.post(example.url, headers=headers, content=body)
            assert answer.status_code == 401, what
        assert b" 413 " in await too_much(kind, example.port)
        assert "did the work" not in example.printed()
        assert (await client.post(example.url, headers=good, content=BODY)).status_code == 204
        assert example.printed().count("did the work of onboard.session.completed") == 1


async def test_work_that_failed_is_done_when_the_event_comes_again(kind: str, tmp_path: Path) -> None:
    example = Example(kind, tmp_path, unused_port(), SECRET)
    # No object: the work of both fails on it.
    bodies = b"null", BODY
    async with example.running(), httpx.AsyncClient(trust_env=False) as client:
        answers = [
            (await client.post(example.url, headers=signed(body=body), content=body)).status_code for body in bodies
        ]
        assert answers == [500, 204]
        assert example.printed().count("did the work of onboard.session.completed") == 1
