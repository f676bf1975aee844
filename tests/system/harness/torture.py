"""A daemon under load that is ended and started again, round after round, while three ledgers are kept and compared."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from harness.books import AppendOnly, Promises, Reckoning, count_unfinished, reconcile, rows
from harness.daemon_process import Daemon
from harness.foreign import Ledger, counting_receiver
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from harness.books import Key

WEBHOOKS = 3
ANSWER_DELAY = 0.02
# A round's load lasts at most so long; a start that is cut off, too.
LONGEST_LOAD = 0.5
LONGEST_START = 1.2
SETTLES_WITHIN = 60


class Publisher:
    """The publishing process, as its harness sees it."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._said = b""

    async def tell(self, what: str, url: str = "") -> None:
        assert self._process.stdin is not None
        await self._process.stdin.send_all(f"{what} {url}\n".encode())

    async def settle(self, url: str) -> None:
        """Have it asked again for everything without an answer, until every event has its 202."""
        await self.tell("settle", url)
        assert self._process.stdout is not None
        with trio.fail_after(SETTLES_WITHIN):
            while b"settled\n" not in self._said:
                chunk = await self._process.stdout.receive_some(4096)
                assert chunk, "the publisher died"
                self._said += chunk
        self._said = b""


@asynccontextmanager
async def publisher(book: Path, token: str, seed: int) -> AsyncIterator[Publisher]:
    """A publishing process, killed at the end."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", "harness.publisher", "--book", str(book), "--token", token, "--seed", str(seed)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=str(Path(__file__).parent.parent),
    )
    try:
        yield Publisher(process)
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            for end in (process.stdin, process.stdout):
                assert end is not None
                await end.aclose()


class Torture:
    """One database and its books through many daemons. Everything drawn by lot comes from the seed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._database = folder / "webhooks.db"
        self._choice = random.Random(seed)
        self._promises = Promises()
        self._seed = seed
        self._book = AppendOnly(folder / "publisher.book")
        self._ledger = AppendOnly(folder / "receiver.book")
        self._arrivals: Counter[Key] = Counter()

    async def run(self, rounds: int, ending: signal.Signals) -> Reckoning:
        """End that many daemons by this signal. Raises AssertionError when ledgers disagree; returns the last state."""
        print(f"\nCRASH_SEED={self._seed}: {rounds} rounds ended by {ending.name}", flush=True)
        async with trio.open_nursery() as nursery, counting_receiver(Ledger(self._ledger.path), ANSWER_DELAY) as port:
            daemon = await Daemon.start(nursery, self._database)
            token = await daemon.operator().create_tenant("acme")
            for hook in range(WEBHOOKS):
                await daemon.caller(token).register(f"http://127.0.0.1:{port}/{hook}")
            async with publisher(self._book.path, token, self._seed) as publishing:
                for number in range(1, rounds + 1):
                    await publishing.tell("load", daemon.base_url)
                    under_way = await self._end(daemon, ending)
                    daemon = await self._start(nursery, ending)
                    await publishing.settle(daemon.base_url)
                    reckoning = await self._reckon(under_way)
                    assert reckoning.sound, f"seed {self._seed}, round {number}\n{reckoning}\n{daemon.log.tail()}"
                    if number % 10 == 0 or number == rounds:
                        print(f"round {number} of {rounds}, seed {self._seed}\n{reckoning.table()}", flush=True)
            await daemon.aclose()
            nursery.cancel_scope.cancel()
        return reckoning

    async def _end(self, daemon: Daemon, ending: signal.Signals) -> set[str]:
        """End it at a random moment; returns the ids of the deliveries that were under way."""
        await self._lives_on(daemon, self._choice.uniform(0, LONGEST_LOAD))
        daemon.process.send_signal(ending)
        code = await daemon.exit_code(within=30)
        await daemon.aclose()
        if ending == signal.SIGTERM:
            assert code == 0, daemon.log.tail()
            assert [row for row in rows(self._database) if row.status == "sending"] == []
            assert not daemon.log.of("delivery.interrupted"), "there was time enough to finish"
            return set()
        assert code == -ending, daemon.log.tail()
        # To look at a dead daemon's file builds its WAL's index anew, which is the next daemon's to do: not every time.
        if self._choice.random() < 0.5:
            return set()
        return {row.id for row in rows(self._database) if row.status == "sending"}

    async def _start(self, nursery: trio.Nursery, ending: signal.Signals) -> Daemon:
        """A daemon that is ready, now and then after others that were ended in the middle of their start."""
        while self._choice.random() < 0.25:
            starting = await Daemon.launch(nursery, self._database)
            await self._lives_on(starting, self._choice.uniform(0, LONGEST_START))
            starting.process.send_signal(ending)
            assert await starting.exit_code() in (0, -ending), starting.log.tail()
        return await Daemon.start(nursery, self._database)

    async def _lives_on(self, daemon: Daemon, seconds: float) -> None:
        with trio.move_on_after(seconds):
            code = await daemon.process.wait()
            raise AssertionError(f"the daemon ended by itself with {code}\n{daemon.log.tail()}")

    async def _reckon(self, under_way: set[str]) -> Reckoning:
        async def finished() -> bool:
            return await trio.to_thread.run_sync(count_unfinished, self._database) == 0

        await eventually(finished, "every delivery finished", within=SETTLES_WITHIN)
        records = await trio.to_thread.run_sync(rows, self._database)
        wrong = {row.id: row.status for row in records if row.id in under_way and row.status != "interrupted"}
        assert not wrong, f"these were under way at the kill: {wrong}"
        self._promises.note(self._book.new_lines())
        self._arrivals.update((target, event) for _, target, event in self._ledger.new_lines())
        return reconcile(self._promises, records, self._arrivals, WEBHOOKS)
