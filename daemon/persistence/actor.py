"""The persistence actor: the one writer. Commands wait in two lanes; each transaction takes what waits and fsyncs once.

    execute()  ──public──┐
                         ├─ take ─▶ one transaction in the writer's thread ─▶ answers, offers to the router
    progress() ─internal─┘

When the storage fails, progress waits and is tried again with back-off (0.1 s doubling to 5 s), and every other command
is refused with `StorageUnavailable`, until a transaction has succeeded.
"""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import trio

from daemon.identifiers import now_ms
from daemon.operations.logs import get_logger
from daemon.persistence import backlog, registry
from daemon.persistence.commands import Command, Progress, Progressed, Publish
from daemon.persistence.execution import Executed, StorageFailed, execute, is_storage_fault
from daemon.persistence.housekeeping import LOOK_SECONDS, Housekeeping
from daemon.persistence.lanes import Lanes, Ticket
from daemon.persistence.readers import Readers
from daemon.persistence.space import FreeSpace
from daemon.refusals import Draining, OutcomeUnknown, Refusal, StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from daemon.operations.metrics import Metrics
    from daemon.settings import Limits, StorageSettings

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_BEGUN_BOUND = 30.0
_COMMIT_BOUND = 120.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_LATER = "Nothing was stored; send this again later."

log = get_logger()


class StorageStuck(Exception):
    """A transaction did not end within its bound; only a new process can go on."""


class Persistence:
    """Owns the writer's connection; everything here runs in the event loop but `_in_thread`'s argument.

    `registry`: tenants and tokens as of the last commit. `cursor_key`: 32 random bytes of this database."""

    def __init__(
        self, connection: sqlite3.Connection, path: Path, storage: StorageSettings, limits: Limits, metrics: Metrics
    ) -> None:
        self.registry = registry.load(connection)
        self.cursor_key: bytes = connection.execute("SELECT value FROM meta WHERE key = 'cursor_key'").fetchone()[0]
        self.failing: str | None = None
        self._connection = connection
        self._path = path
        self._space = FreeSpace(path, storage.min_free_bytes)
        self._limits = limits
        self._metrics = metrics
        self._backlog = backlog.load(connection)
        self._readers = Readers(path)
        self._housekeeping = Housekeeping(connection, metrics)
        self._thread = trio.CapacityLimiter(1)
        self._lanes = Lanes()
        self._wake, self._woken = trio.open_memory_channel[None](1)
        self._closing = False
        self._offer: Callable[[Mapping[int, Mapping[int, int]]], None] = lambda work: None

    async def execute(self, command: Command[R], patience: float) -> R:
        """Have the command carried out and on disk; `patience` seconds at most before its transaction begins.

        Raises the command's `Refusal`s, `StorageUnavailable` and `Draining` (not stored), `OutcomeUnknown` (may be).
        Cancelled before the transaction begins, nothing happens; later, it waits for the end of the transaction,
        bounded, and what was committed stays."""
        self._refuse_unless_able(command)
        ticket: Ticket[R] = Ticket(command, _caller(command), trio.current_time() + patience)
        if not self._lanes.put_public(ticket):
            raise StorageUnavailable("Too many requests wait for the storage. Send this again a little later.")
        self._poke()
        try:
            with trio.move_on_at(ticket.deadline):
                return await ticket.wait()
        finally:
            if not ticket.begun:
                ticket.abandoned = True
            elif not ticket.answered:
                with trio.CancelScope(shield=True, deadline=trio.current_time() + _BEGUN_BOUND):
                    await ticket.settled()
        if not ticket.begun:
            raise StorageUnavailable(f"The storage did not get to this within {patience:g} s. Send it again later.")
        if not ticket.answered:
            raise OutcomeUnknown("The storage has not answered in time: this may or may not have been stored.")
        return await ticket.wait()

    async def progress(self, command: Progress) -> Progressed:
        """Never refused; waits for as long as the storage fails. Cancelled, it is carried out all the same."""
        ticket: Ticket[Progressed] = Ticket(command, None, trio.current_time())
        self._lanes.put_internal(ticket)
        self._poke()
        return await ticket.wait()

    async def read(
        self, query: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a function of `queries` on a read-only connection. Raises `StorageUnavailable`."""
        return await self._readers.read(query, *args, **kwargs)

    def trouble(self) -> str | None:
        """Why nothing can be published just now for the storage's sake, or None."""
        return self.failing or self._space.shortage()

    def waiting(self) -> int:
        """Deliveries that wait for active tenants."""
        return sum(count for tenant, count in self._backlog.per_tenant() if self._is_active(tenant))

    def oldest_waiting(self) -> float:
        """Age in seconds of the oldest of them, as last looked up (once a second); 0 when none waits."""
        oldest = self._housekeeping.oldest
        return 0.0 if oldest is None or not self.waiting() else max(0.0, (now_ms() - oldest) / 1000)

    def work(self) -> dict[int, dict[int, int]]:
        """All that waits, tenant → webhook → count: what the router is offered at the start."""
        return self._backlog.webhooks()

    def close(self) -> None:
        """Refuse what comes from now on; `run` ends when what waits has been carried out."""
        self._closing = True
        self._poke()

    async def run(
        self,
        offer: Callable[[Mapping[int, Mapping[int, int]]], None],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve the lanes until closed, then close the file. After each commit `offer`, which never blocks, is told of
        new work.

        Raises `StorageStuck`, and whatever a bug raises. Cancellation lets a transaction under way end first."""
        self._offer = offer
        task_status.started()
        try:
            while not (self._closing and not self._lanes):
                taken = self._lanes.take(trio.current_time())
                if taken:
                    await self._commit(taken)
                if not await self._keep_house() and not self._lanes and not self._closing:
                    with trio.move_on_after(LOOK_SECONDS):
                        await self._woken.receive()
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + _COMMIT_BOUND):
                await self._in_thread(self._close)

    async def _commit(self, taken: list[Ticket[Any]]) -> None:
        for ticket in taken:
            ticket.begun = True
        started = time.perf_counter()
        try:
            done = await self._in_thread(
                lambda: execute(self._connection, [t.command for t in taken], now_ms(), self._limits, self._backlog)
            )
        except StorageFailed as failure:
            await self._storage_failed(taken, failure)
            return
        except Exception as bug:
            if len(taken) > 1:
                for ticket in taken:
                    await self._commit([ticket])
                return
            if isinstance(taken[0].command, Progress):
                raise
            taken[0].answer(bug)
            return
        self._after_commit(taken, done, time.perf_counter() - started)

    async def _keep_house(self) -> bool:
        """Take the step that is due, if one is."""
        step = self._housekeeping.next(time.monotonic(), busy=bool(self._lanes), waiting=self._backlogged)
        if step is None:
            return False
        try:
            done = await self._in_thread(step)
        except sqlite3.Error as error:
            if not is_storage_fault(error):
                raise
            await self._storage_failed([], StorageFailed(str(error)))
        else:
            done()
        return True

    def _backlogged(self) -> list[int]:
        return [
            webhook
            for tenant, webhooks in self._backlog.webhooks().items()
            if self._is_active(tenant)
            for webhook in webhooks
        ]

    def _after_commit(self, taken: list[Ticket[Any]], done: Executed, seconds: float) -> None:
        if self.failing is not None:
            self.failing = None
            log.info("storage.recovered")
        work = done.effects.carry_out(self.registry)
        rows = sum(ticket.rows for ticket in taken)
        self._housekeeping.committed(rows, done.effects)
        self._metrics.commit(rows, seconds)
        if work:
            self._offer(work)
        for ticket, answer in zip(taken, done.answers, strict=True):
            if isinstance(ticket.command, Publish) and not isinstance(answer, Refusal):
                self._accepted(ticket.command, answer)
            ticket.answer(answer)

    def _accepted(self, command: Publish, answer: Any) -> None:
        """Logged and counted here, not by the handler: its client may have gone, what it published has not."""
        new = [published for published in answer if not published.duplicate]
        if new:
            self._metrics.events_accepted(len(new))
            tenants = sorted({self._name(event.tenant) for event in command.events})
            log.info(
                "event.accepted",
                tenant=tenants[0] if len(tenants) == 1 else tenants,
                count=len(new),
                first=new[0].id,
                last=new[-1].id,
                deliveries=sum(published.deliveries for published in new),
            )

    async def _storage_failed(self, taken: list[Ticket[Any]], failure: StorageFailed) -> None:
        """Refuse the public commands, keep the internal ones, and try those again until the storage is back."""
        if self.failing is None:
            log.error("storage.failing", reason=str(failure))
        self.failing = str(failure)
        internal = [ticket for ticket in taken if isinstance(ticket.command, Progress)]
        refused = [ticket for ticket in taken if not isinstance(ticket.command, Progress)]
        for ticket in refused:
            ticket.answer(_unknown(failure) if failure.unknown else _unavailable(failure))
        self._lanes.put_back(internal)
        pause = _FIRST_PAUSE
        while self.failing:
            for ticket in self._lanes.take_public():
                ticket.answer(_unavailable(failure))
            await trio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            await self._try_again()

    async def _try_again(self) -> None:
        taken = self._lanes.take(trio.current_time())
        started = time.perf_counter()
        try:
            await self._in_thread(lambda: _probe(self._connection))
            commands = [ticket.command for ticket in taken]
            done = await self._in_thread(
                lambda: execute(self._connection, commands, now_ms(), self._limits, self._backlog)
            )
        except (StorageFailed, sqlite3.Error) as failure:
            self.failing = str(failure)
            self._lanes.put_back(taken)
            return
        self._after_commit(taken, done, time.perf_counter() - started)

    async def _in_thread(self, function: Callable[[], T]) -> T:
        """Run it in the writer's thread to its end, cancelled or not. Raises `StorageStuck` when it does not end."""
        with trio.CancelScope(shield=True, deadline=trio.current_time() + _COMMIT_BOUND):
            return await trio.to_thread.run_sync(function, limiter=self._thread, abandon_on_cancel=True)
        raise StorageStuck(f"A transaction did not end within {_COMMIT_BOUND:g} s")

    def _refuse_unless_able(self, command: Command[Any]) -> None:
        if self._closing:
            raise Draining("The daemon is stopping. Send this again to the next one.")
        if self.failing is not None:
            raise StorageUnavailable(
                f"The storage is failing: {self.failing}. Nothing was stored; send this again later."
            )
        if isinstance(command, Publish) and (why := self._space.shortage()) is not None:
            raise StorageUnavailable(f"{why} {_LATER}")

    def _name(self, tenant: int) -> str:
        found = self.registry.tenant(tenant)
        return "" if found is None else found.id

    def _is_active(self, tenant: int) -> bool:
        found = self.registry.tenant(tenant)
        return found is not None and found.active

    def _poke(self) -> None:
        try:
            self._wake.send_nowait(None)
        except trio.WouldBlock:
            return

    def _close(self) -> None:
        self._readers.close()
        self._connection.close()


def _caller(command: Command[Any]) -> object:
    """Whose turn the command uses up: its tenant's."""
    if isinstance(command, Publish):
        return command.events[0].tenant
    return getattr(command, "tenant", None)


def _probe(connection: sqlite3.Connection) -> None:
    """A write that changes nothing, fsynced: whether the storage is back. Raises sqlite3.Error."""
    connection.execute("INSERT INTO meta (key, value) VALUES ('probe', 1) ON CONFLICT DO UPDATE SET value = value + 1")


def _unavailable(failure: Exception) -> StorageUnavailable:
    return StorageUnavailable(f"The storage is failing: {failure}. {_LATER}")


def _unknown(failure: Exception) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"The disk failed while this was being stored: {failure}. It may or may not have been stored."
    )
