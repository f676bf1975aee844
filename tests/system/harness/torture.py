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

from harness.attempts import LATE, Post, disagreements, miscounted
from harness.books import EXPLAINED, AppendOnly, Promises, Reckoning, count_unfinished, reconcile, rows
from harness.daemon_process import Daemon
from harness.foreign import Ledger, counting_receiver
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from harness.books import Key, Row
    from harness.configuration import Value

# `/moody` answers some events 500 and some never: see the counting receiver.
TARGETS = ("0", "1", "moody")
ANSWER_DELAY = 0.02
# What a POST that is never answered waits; every other one is answered long before.
SETTINGS: Mapping[str, Mapping[str, Value]] = {"delivery": {"timeout": 2, "connect_timeout": 2}}
# A round's load lasts at most so long; a start that is cut off, too.
LONGEST_LOAD = 0.5
LONGEST_START = 1.2
SETTLES_WITHIN = 60
# A POST that was on its way when its attempt was cut off is written down when the receiver gets to it (ms).
LATE_AT_A_CUT = 1000


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

    def __init__(
        self, nursery: trio.Nursery, folder: Path, seed: int, settings: Mapping[str, Mapping[str, Value]]
    ) -> None:
        self.database = folder / "webhooks.db"
        self.daemon: Daemon
        self.token = ""
        self.choice = random.Random(seed)
        self.seed = seed
        self.nursery = nursery
        self._settings = settings
        self._publisher: Publisher
        self._promises = Promises()
        self._book = AppendOnly(folder / "publisher.book")
        self._ledger = AppendOnly(folder / "receiver.book")
        self._posts: list[Post] = []

    @classmethod
    @asynccontextmanager
    async def start(
        cls,
        folder: Path,
        seed: int,
        settings: Mapping[str, Mapping[str, Value]] = SETTINGS,
        answer_delay: float = ANSWER_DELAY,
    ) -> AsyncIterator[Torture]:
        """A daemon, a receiving and a publishing process, which does nothing yet."""
        async with trio.open_nursery() as nursery:
            self = cls(nursery, folder, seed, settings)
            self.daemon = await Daemon.start(nursery, self.database, settings)
            try:
                async with counting_receiver(Ledger(self._ledger.path), answer_delay) as port:
                    self.token = await self.daemon.operator().create_tenant("acme")
                    for target in TARGETS:
                        await self.daemon.caller(self.token).register(f"http://127.0.0.1:{port}/{target}")
                    async with publisher(self._book.path, self.token, seed) as self._publisher:
                        yield self
            finally:
                await self.daemon.aclose()
            nursery.cancel_scope.cancel()

    async def load(self, *, shortest: float = 0, longest: float = LONGEST_LOAD) -> None:
        """Publish and redeliver, and return at a random moment while that goes on, mostly when POSTs have arrived."""
        arrived = self._ledger.length()
        await self._publisher.tell("load", self.daemon.base_url)
        if self.choice.random() < 0.8:
            await eventually(lambda: self._grown(arrived), "a POST arrived", within=SETTLES_WITHIN)
        await _lives_on(self.daemon, self.choice.uniform(shortest, longest))

    async def end(self, ending: signal.Signals, *, cuts_off: bool = False) -> dict[str, str]:
        """End the daemon by this signal; returns the deliveries that its file then says wait or are under way, id →
        status. `cuts_off`: its drain may be shorter than what is under way."""
        self.daemon.process.send_signal(ending)
        code = await self.daemon.exit_code(within=30)
        await self.daemon.aclose()
        if ending == signal.SIGTERM:
            assert code == 0, self.daemon.log.tail()
            cut_off = self.daemon.log.of("delivery.interrupted")
            assert cuts_off or not cut_off, "there was time enough to finish"
        else:
            assert code == -ending, self.daemon.log.tail()
            # Reading a dead daemon's file builds its WAL's index anew, which is the next daemon's to do: not always.
            if self.choice.random() < 0.5:
                return {}
        found = rows(self.database)
        assert ending == signal.SIGKILL or not [row for row in found if row.status == "sending"]
        assert miscounted(self.database, found) == []
        return {row.id: row.status for row in found if row.status in ("pending", "sending")}

    async def start_again(self, ending: signal.Signals) -> bool:
        """A daemon that is ready, now and then after others that were ended in the middle of their start; returns
        whether there were none of those."""
        at_once = True
        while self.choice.random() < 0.25:
            at_once = False
            self.daemon = await Daemon.launch(self.nursery, self.database, self._settings)
            await _lives_on(self.daemon, self.choice.uniform(0, LONGEST_START))
            self.daemon.process.send_signal(ending)
            assert await self.daemon.exit_code() in (0, -ending), self.daemon.log.tail()
        self.daemon = await Daemon.start(self.nursery, self.database, self._settings)
        return at_once

    async def settle(self) -> list[Row]:
        """Have the publisher get its missing 202s and all deliveries end; returns them."""
        await self._publisher.settle(self.daemon.base_url)
        return await self.finished()

    async def finished(self) -> list[Row]:
        """All deliveries, once none is under way or waits."""

        async def all_finished() -> bool:
            return await trio.to_thread.run_sync(count_unfinished, self.database) == 0

        await eventually(all_finished, "every delivery finished", within=SETTLES_WITHIN)
        return await trio.to_thread.run_sync(rows, self.database)

    def follow(self, found: dict[str, str], records: list[Row], *, at_once: bool) -> None:
        """What was under way when the daemon died is interrupted and nothing else; what waited has been attempted, and
        to its end, if the next daemon was let live."""
        for row in records:
            before = found.get(row.id)
            as_it_should = row.status != "interrupted" if before == "pending" and at_once else True
            if before == "sending":
                as_it_should = row.status == "interrupted"
            assert as_it_should, f"CRASH_SEED={self.seed}: {before} in the dead file, then {row}"

    async def _grown(self, length: int) -> bool:
        return self._ledger.length() > length

    def reckon(self, records: list[Row], also: frozenset[str] = frozenset(), late: int = LATE) -> Reckoning:
        """Compare the three ledgers, also attempt by attempt, and the webhooks' counters. `also`: how deliveries may
        have ended that were not sent. Raises AssertionError when they disagree."""
        self._promises.note(self._book.new_lines())
        arrivals = self.arrivals()
        reckoning = reconcile(self._promises, records, arrivals, EXPLAINED | {"failed"} | also)
        assert reckoning.sound, f"CRASH_SEED={self.seed}\n{reckoning}\n{self.daemon.log.tail()}"
        wrong = disagreements(records, self._posts, late) + miscounted(self.database, records)
        assert not wrong, f"CRASH_SEED={self.seed}\n" + "\n".join(wrong[:5])
        return reckoning

    def arrivals(self) -> Counter[Key]:
        """How often each (target, event) has arrived so far."""
        self._posts += [
            Post(target, event, int(at), int(answer)) for _, target, event, at, answer in self._ledger.new_lines()
        ]
        return Counter((post.target, post.event) for post in self._posts)


async def endure(
    folder: Path,
    seed: int,
    rounds: int,
    ending: signal.Signals,
    settings: Mapping[str, Mapping[str, Value]] = SETTINGS,
    answer_delay: float = ANSWER_DELAY,
    *,
    cuts_off: bool = False,
) -> Reckoning:
    """End that many daemons under load by this signal; returns the last state of the books, and prints it. `cuts_off`:
    the signal leaves no time for what is under way."""
    late = LATE_AT_A_CUT if cuts_off else LATE
    print(f"\nCRASH_SEED={seed}: {rounds} rounds ended by {ending.name}", flush=True)
    async with Torture.start(folder, seed, settings, answer_delay) as torture:
        for number in range(1, rounds + 1):
            await torture.load()
            found = await torture.end(ending, cuts_off=cuts_off)
            at_once = await torture.start_again(ending)
            records = await torture.settle()
            torture.follow(found, records, at_once=at_once)
            reckoning = torture.reckon(records, late=late)
            if number % 20 == 0 or number == rounds:
                print(f"after round {number} of {rounds}\n{reckoning.table()}", flush=True)
    return reckoning


async def _lives_on(daemon: Daemon, seconds: float) -> None:
    with trio.move_on_after(seconds):
        code = await daemon.process.wait()
        raise AssertionError(f"the daemon ended by itself with {code}\n{daemon.log.tail()}")
