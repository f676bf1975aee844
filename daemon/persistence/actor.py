"""The persistence actor: the one writer. Commands wait in two lanes; each transaction takes what waits and fsyncs once.

    execute()  ──public──┐
                         ├─ take ─▶ one transaction in the writer's thread ─▶ answers, offers to the router
    progress() ─internal─┘

When the storage fails, progress waits and is tried again with back-off (0.1 s doubling to 5 s), and every other command
is refused with `StorageUnavailable`, until a transaction has succeeded.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import trio

from daemon.identifiers import now_ms
from daemon.operations.logs import get_logger
from daemon.persistence import acceptance, backlog, registry
from daemon.persistence.clock_steps import ClockSteps
from daemon.persistence.commands import Begun, Command, Internal, Progress, Progressed, Publish
from daemon.persistence.execution import Executed, StorageFailed, execute
from daemon.persistence.heartbeat import Heartbeat
from daemon.persistence.hints import Hints
from daemon.persistence.housekeeping import Housekeeping
from daemon.persistence.intake import Intake
from daemon.persistence.readers import Readers
from daemon.persistence.space import FreeSpace
from daemon.persistence.tickets import Spread, Ticket
from daemon.persistence.waits import Waits
from daemon.persistence.writer import StorageStuck, Writer, probe
from daemon.refusals import Refusal

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from daemon.operations.health import Part
    from daemon.operations.metrics import Metrics
    from daemon.persistence.hints import Listener
    from daemon.persistence.housekeeping import Step
    from daemon.settings import Limits, StorageSettings

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_SILENCE = 5.0  # seconds that no transaction takes on a disk that answers

log = get_logger()


class Persistence:
    """Everything here runs in the event loop, but for what the writer is given to run.

    `limits` may be replaced: they hold from the next transaction on. `registry`: tenants and tokens, `waits`: what
    waits for them, as of the last commit. `cursor_key`: 32 random bytes of this database. `space`: what the database
    takes of its disk, and what is left there."""

    def __init__(
        self, connection: sqlite3.Connection, path: Path, storage: StorageSettings, limits: Limits, metrics: Metrics
    ) -> None:
        self.registry = registry.load(connection)
        self.cursor_key: bytes = connection.execute("SELECT value FROM meta WHERE key = 'cursor_key'").fetchone()[0]
        self.limits = limits
        self.space = FreeSpace(path, storage.min_free_bytes)
        self._metrics = metrics
        self._backlog = backlog.load(connection)
        self._clock_steps = ClockSteps(connection)
        self._readers = Readers(path)
        self.waits = Waits(self._backlog, self.registry)
        self._housekeeping = Housekeeping(connection, self._readers, storage, metrics)
        self._writer = Writer(connection, path)
        self._hints = Hints(self._backlog)
        self._intake = Intake(self.space, self._hints)
        self._lanes = self._intake.lanes
        self._under_way: list[Ticket[Any]] = []
        self._heartbeat = Heartbeat()

    async def execute(self, command: Command[R], patience: float) -> R:
        """Have the command carried out and on disk; `patience` seconds at most before its transaction begins.

        Raises the command's `Refusal`s, `StorageUnavailable` and `Draining` (not stored), `OutcomeUnknown` (may be).
        Cancelled before the transaction begins, nothing happens; later, it waits for the end of the transaction,
        bounded, and what was committed stays."""
        return await self._intake.execute(command, patience)

    async def progress(self, command: Progress) -> Progressed:
        """Never refused; waits for as long as the storage fails. Cancelled, it is carried out all the same, but for
        its claims: what nobody will attempt is not claimed, or goes back to pending."""
        return await self._intake.progress(command)

    async def read(
        self, query: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a function of `queries` on a read-only connection. Raises `StorageUnavailable`."""
        self._housekeeping.read()
        return await self._readers.read(query, *args, **kwargs)

    def troubles(self) -> dict[Part, str]:
        """Why nothing can be published just now for the storage's sake, by what is the matter; empty if it can be."""
        troubles: dict[Part, str] = {}
        silent = self._writer.silent
        if self._intake.failing is not None:
            troubles["storage"] = self._intake.failing
        elif silent > _SILENCE:
            troubles["storage"] = f"The disk has not answered for {silent:.0f} s."
        if (why := self.space.shortage()) is not None:
            troubles["space"] = why
        return troubles

    @property
    def damaged(self) -> bool:
        """Whether the storage will not come back for this process."""
        return self._writer.damaged

    def retention_paused(self) -> str | None:
        """Why nothing is deleted by age just now; None if nothing keeps it."""
        return self._housekeeping.retention.paused

    @property
    def recoveries(self) -> int:
        """How many are not over."""
        return self._housekeeping.recoveries.running

    def work(self) -> dict[int, dict[int, int]]:
        """All that waits, tenant → webhook → count: what the router is offered at the start."""
        return self._backlog.webhooks()

    async def heartbeat(self) -> None:
        """Returns when the actor has gone round once more, however the storage fares: not while it is stuck."""
        self._intake.ring()
        await self._heartbeat.heard()

    def stop_by(self, deadline: float) -> None:
        """Not even a disk that does not answer holds `run` longer than this (trio's clock): it raises StorageStuck."""
        self._writer.deadline = deadline

    def close(self) -> None:
        """Refuse what comes from now on; `run` ends when what waits has been carried out."""
        self._intake.close()

    async def run(
        self,
        listener: Listener,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve the lanes until closed, then close the file. The listener is told of the work there is.

        Raises `StorageStuck`, and whatever a bug raises. Cancellation lets a transaction under way end first."""
        self._hints.listener = listener
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.waits.run, self._readers)
                task_status.started()
                await self._serve()
                nursery.cancel_scope.cancel()
        finally:
            self._intake.close()
            self._intake.let_go(self._under_way)
            self._readers.close()
            await self._writer.close()

    async def _serve(self) -> None:
        while not self._done:
            self._heartbeat.beat()
            if not self._intake.closed.is_set():
                self._housekeeping.recoveries.queue(time.monotonic(), self._lanes, self.space)
            await self._hints.heard(self._lanes)
            taken = self._under_way = self._lanes.take(trio.current_time())
            if taken:
                await self._commit(taken)
            if not await self._keep_house() and not self._lanes and not self._intake.closed.is_set():
                await self._intake.rung(self._housekeeping.pause(time.monotonic()))

    @property
    def _done(self) -> bool:
        """Closed, and nothing is left to do. What a failing storage keeps from being made is promised on disk: the next
        start makes it."""
        left = self._lanes.steps if self._intake.failing else bool(self._lanes)
        return self._intake.closed.is_set() and not left

    async def _commit(self, taken: list[Ticket[Any]]) -> None:
        for ticket in taken:
            ticket.begun = True
        try:
            await self._carry_out(taken)
        except StorageFailed as failure:
            await self._storage_failed(failure, taken)

    async def _carry_out(self, taken: list[Ticket[Any]]) -> None:
        """One transaction; a bug in one of its commands makes it one for each. Raises `StorageFailed`,
        `StorageStuck`, and what a bug in a tenant actor's command raises."""
        started, steps = time.perf_counter(), self._clock_steps
        commands = [ticket.command for ticket in taken]
        try:
            done = await self._writer.run(lambda db: execute(db, commands, now_ms(), self.limits, self._backlog, steps))
        except (StorageFailed, StorageStuck):
            raise
        except Exception as bug:
            if len(taken) > 1:
                for ticket in taken:
                    await self._commit([ticket])
                return
            if not taken or isinstance(taken[0].command, Internal):
                raise
            taken[0].answer(bug)
            return
        self._after_commit(taken, done, time.perf_counter() - started)

    async def _keep_house(self) -> bool:
        """Take the step that is due, if one is."""
        step = self._housekeeping.next(time.monotonic())
        if step is None:
            return False
        try:
            done = await self._writer.run(lambda _: step())
        except StorageFailed as failure:
            await self._storage_failed(failure, step=step)
        else:
            done()
        return True

    def _after_commit(self, taken: list[Ticket[Any]], done: Executed, seconds: float) -> None:
        self._intake.recover()
        self._hints.committed(done.effects, self.registry)
        rows = sum(ticket.rows for ticket in taken)
        self._housekeeping.committed(rows, done.effects, self.registry)
        self._metrics.commit(rows, seconds)
        for ticket, answer in zip(taken, done.answers, strict=True):
            command = ticket.command
            if isinstance(command, Publish) and not isinstance(answer, Refusal):
                published = answer.published if isinstance(answer, Begun) else answer
                self._lanes.learn(command, published)
                acceptance.tell(command, published, self.registry, self._metrics)
            elif isinstance(answer, Progressed) and ticket.abandoned:
                self._put_back(answer)
            self._answer(ticket, answer)

    def _answer(self, ticket: Ticket[Any], answer: object) -> None:
        """A publish whose deliveries are not all made yet is answered when they are."""
        if isinstance(answer, Begun):
            self._lanes.spread(Spread(ticket, answer))
        elif not isinstance(ticket, Spread):
            ticket.answer(answer)
        elif answer:
            self._lanes.complete(ticket)
            ticket.complete()
        else:
            self._lanes.spread(ticket)

    def _put_back(self, progressed: Progressed) -> None:
        """Nobody is left to attempt what this has claimed."""
        if progressed.claimed:
            unclaimed = Progress(0, [], progressed.claimed, [])
            self._lanes.put_internal(Ticket(unclaimed, trio.current_time()))

    async def _storage_failed(
        self, failure: StorageFailed, taken: Sequence[Ticket[Any]] = (), step: Step | None = None
    ) -> None:
        """Refuse the public commands, keep the internal ones, and try those and the step again until the storage is
        back, or until the daemon stops and there is nothing to lose."""
        self._intake.fail(failure, taken)
        pause = _FIRST_PAUSE
        while self._intake.failing and not self._done:
            self._heartbeat.beat()
            await self._intake.back_off(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            internal: list[Ticket[Any]] = []
            try:
                if step is not None:
                    (await self._writer.run(lambda _, due=step: due()))()
                    step = None
                await self._writer.run(probe)
                internal = self._lanes.take(trio.current_time())
                await self._carry_out(internal)
            except StorageFailed as again:
                self._intake.failing = str(again)
                self._lanes.put_back(internal)
