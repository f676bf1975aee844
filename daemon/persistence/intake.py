"""Where commands come in: whether they may, the queue that they wait in, the bell that wakes the actor for them; and
what becomes of those that wait when the storage fails or the actor ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import trio
from msgspec.structs import replace

from daemon.operations.logs import get_logger
from daemon.persistence.commands import Internal, Publish
from daemon.persistence.execution import StorageFailed
from daemon.persistence.lanes import Lanes
from daemon.persistence.tickets import Ticket
from daemon.refusals import Draining, OutcomeUnknown, StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.persistence.commands import Command, Progress, Progressed
    from daemon.persistence.hints import Hints
    from daemon.persistence.space import FreeSpace

R = TypeVar("R")

_SHORT = 0.1

log = get_logger()


class Intake:
    """The actor takes from `lanes`; `failing`: why nothing can be stored just now; `closed`: nothing comes in any
    more."""

    def __init__(self, space: FreeSpace, hints: Hints) -> None:
        self.lanes = Lanes()
        self.failing: str | None = None
        self.closed = trio.Event()
        self._space = space
        self._hints = hints
        self._wake, self._woken = trio.open_memory_channel[None](1)

    async def execute(self, command: Command[R], patience: float) -> R:
        """See `Persistence.execute`."""
        await trio.lowlevel.checkpoint_if_cancelled()
        self._refuse_unless_able(command)
        ticket: Ticket[R] = Ticket(command, trio.current_time() + patience)
        if not self.lanes.put_public(ticket):
            raise StorageUnavailable("Too many requests wait for the storage. Send this again a little later.")
        self._hints.foresee(command)
        self.ring()
        return await ticket.wait_patiently()

    async def progress(self, command: Progress) -> Progressed:
        """See `Persistence.progress`."""
        ticket: Ticket[Progressed] = Ticket(command, trio.current_time())
        self.lanes.put_internal(ticket)
        self.ring()
        try:
            return await ticket.wait()
        except trio.Cancelled:
            ticket.command, ticket.abandoned = replace(command, claims=[]), True
            raise

    def close(self) -> None:
        self.closed.set()
        self.ring()

    def fail(self, failure: StorageFailed, taken: Sequence[Ticket[Any]]) -> None:
        """The transaction of those `taken` has failed: what is internal waits for the storage to be back, the rest is
        refused, and so is what comes until then."""
        if self.failing is None:
            log.error("storage.failing", reason=str(failure))
        self.failing = str(failure)
        self.lanes.put_back([ticket for ticket in taken if isinstance(ticket.command, Internal)])
        for ticket in taken:
            if not isinstance(ticket.command, Internal):
                ticket.answer(failure.refusal())
        for ticket in self.lanes.take_public():
            ticket.answer(StorageFailed(str(failure)).refusal())

    def recover(self) -> None:
        """A transaction has succeeded."""
        if self.failing is not None:
            self.failing = None
            log.info("storage.recovered")

    def let_go(self, under_way: Sequence[Ticket[Any]]) -> None:
        """Nobody is left waiting for an actor that has ended, however it ended."""
        for ticket in (*under_way, *(spread.publish for spread in self.lanes.spreading)):
            if not (ticket.answered or isinstance(ticket.command, Internal)):
                ticket.answer(OutcomeUnknown("The daemon stopped while this was being stored: it may have been."))
        for ticket in self.lanes.take_public():
            ticket.answer(Draining("The daemon is stopping. Send this again to the next one."))

    def ring(self) -> None:
        """Never blocks: one call that nobody has heard yet is enough for any number of them."""
        try:
            self._wake.send_nowait(None)
        except trio.WouldBlock:
            return

    async def rung(self, seconds: float) -> None:
        """Wait until there may be something to do, for so long at most."""
        with trio.move_on_after(seconds):
            await self._woken.receive()

    async def back_off(self, pause: float) -> None:
        """Wait that long; closing cuts it short: a daemon that stops has no time for long pauses."""
        if self.closed.is_set():
            await trio.sleep(_SHORT)
            return
        with trio.move_on_after(pause):
            await self.closed.wait()
        await trio.lowlevel.checkpoint_if_cancelled()

    def _refuse_unless_able(self, command: Command[Any]) -> None:
        if self.closed.is_set():
            raise Draining("The daemon is stopping. Send this again to the next one.")
        if self.failing is not None:
            raise StorageFailed(self.failing).refusal()
        if isinstance(command, Publish) and (why := self._space.shortage()) is not None:
            raise StorageUnavailable(f"{why} Nothing was stored; send this again later.")
