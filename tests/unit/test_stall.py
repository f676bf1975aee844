"""The watch over a real loop that is really blocked. Blocking is what is tested: it takes as long as it says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
import trio

from daemon.operations.logs import get_logger
from daemon.operations.stall import watched

if TYPE_CHECKING:
    from collections.abc import Iterator


class Told:
    """The lines of `loop.blocked`, as they come from the watcher's thread."""

    def __init__(self) -> None:
        self.lines: list[dict[str, object]] = []
        self.first = threading.Event()

    def add(self, event: str, /, **fields: object) -> None:
        assert event == "loop.blocked"
        self.lines.append(fields)
        self.first.set()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    told = Told()
    monkeypatch.setattr(get_logger(), "warning", told.add)
    yield told
    assert not any(thread.name == "stall-watch" for thread in threading.enumerate())


def hold(seconds: float) -> None:
    time.sleep(seconds)


async def culprit() -> None:
    await trio.lowlevel.checkpoint()
    hold(0.25)


async def test_a_task_that_blocks_the_loop_is_named_with_the_line_where_it_did(told: Told) -> None:
    blocked: list[float] = []
    with watched(blocked.append):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(culprit)
        await trio.testing.wait_all_tasks_blocked()
    (line,) = told.lines
    milliseconds = line["milliseconds"]
    assert isinstance(milliseconds, int)
    assert milliseconds >= 250
    assert blocked == [pytest.approx(milliseconds / 1000, abs=0.001)]
    assert (line["ended"], line["count"], line["tasks"]) == (True, 1, 1)
    assert line["task"] == f"{__name__}.culprit"
    assert re.fullmatch(rf"{__name__}:\d+ culprit > {__name__}:\d+ hold", line["stack"].text)


async def test_a_loop_that_is_stuck_is_in_the_log_while_it_is(told: Told) -> None:
    async def stuck() -> None:
        await trio.lowlevel.checkpoint()
        assert told.first.wait(10), "nothing was told while the loop was blocked"

    with watched(lambda seconds: None):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stuck, name="the stuck one")
        await trio.testing.wait_all_tasks_blocked()
    first, last = told.lines
    assert (first["ended"], last["ended"]) == (False, True)
    assert first["task"] == last["task"] == "the stuck one"
    assert f"{__name__}:" in first["stack"].text
    assert last["milliseconds"] >= first["milliseconds"] > 1000


STOPPED = """
import json, os, subprocess, sys
import trio
from daemon.operations import logs
from daemon.operations.stall import watched
from daemon.settings import LoggingSettings

async def main():
    with watched(lambda seconds: None):
        await trio.lowlevel.checkpoint()
        # Between the two signals this process does not run.
        other = subprocess.Popen(["sh", "-c", f"kill -STOP {os.getpid()}; sleep 0.5; kill -CONT {os.getpid()}"])
        while other.poll() is None:
            pass
        await trio.lowlevel.checkpoint()

writer = logs.start(LoggingSettings(format="json"), sys.stdout)
trio.run(main)
assert writer.close(5)
"""


def test_nobody_is_accused_of_a_process_that_was_stopped() -> None:
    done = subprocess.run([sys.executable, "-c", STOPPED], stdout=subprocess.PIPE, timeout=30, check=True)
    (line,) = map(json.loads, done.stdout.splitlines())
    assert line["event"] == "loop.blocked"
    assert line["milliseconds"] >= line["paused"] > 300
    assert line["task"] is None


async def test_a_loop_that_waits_or_goes_on_in_small_steps_is_not_blocked(told: Told) -> None:
    async def small() -> None:
        until = trio.current_time() + 0.5
        while trio.current_time() < until:
            await trio.lowlevel.checkpoint()

    blocked: list[float] = []
    with watched(blocked.append):
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(small)
        await trio.sleep(1.2)
    # A machine that is busy with something else may leave the loop a moment without its turn.
    assert sum(blocked) < 0.4
    assert all(line["ended"] for line in told.lines)


async def test_the_watch_ends_with_its_block_and_leaves_the_loop_as_it_was(told: Told) -> None:
    blocked: list[float] = []
    with watched(blocked.append):
        await trio.lowlevel.checkpoint()
    hold(0.15)
    await trio.lowlevel.checkpoint()
    assert told.lines == blocked == []
