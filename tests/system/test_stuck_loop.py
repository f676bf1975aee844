"""A loop that is stuck is in the log while it is, and answers nothing that would say it is well."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import trio
from harness.faults import stuck_on
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from pathlib import Path

    from harness.daemon_process import Daemon
    from harness.starting import Daemons


async def status(daemon: Daemon, path: str) -> int:
    return (await daemon.caller(None).request("GET", path)).status_code


async def blocked_seconds(daemon: Daemon) -> float:
    text = (await daemon.operator().request("GET", "/metrics")).text
    (seconds,) = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "tenant_webhooks_loop_blocked_seconds_total"
    ]
    return seconds


async def test_healthz_does_not_answer_for_a_stuck_loop_and_the_log_says_where_it_is(
    daemons: Daemons, tmp_path: Path, nursery: trio.Nursery
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    daemon = await daemons.start(command=stuck_on(fifo))
    assert await status(daemon, "/healthz") == 200
    answers: list[int] = []
    answered = trio.Event()

    async def ask(path: str) -> None:
        answers.append(await status(daemon, path))
        if len(answers) == 2:
            answered.set()

    nursery.start_soon(ask, "/readyz")
    line = await daemon.log.wait("loop.blocked", ended=False)
    assert line["level"] == "warning"
    assert line["milliseconds"] > 1000
    assert "daemon.front_end.routes.observation:" in line["stack"]
    assert line["stack"].endswith("open")
    assert line["task"]

    nursery.start_soon(ask, "/healthz")
    with trio.move_on_after(1):
        await answered.wait()
    assert answers == []

    with fifo.open("wb"), trio.fail_after(10):
        await answered.wait()
    assert answers == [200, 200]
    ended = await daemon.log.wait("loop.blocked", ended=True, task=line["task"])
    assert ended["milliseconds"] > line["milliseconds"]
    assert await blocked_seconds(daemon) >= ended["milliseconds"] / 1000 - 0.001
