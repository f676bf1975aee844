"""A command on its way through the writer: queued, then begun, then answered; and its requester, who waits for that."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import trio

from daemon.persistence.commands import Begun, Command, FanOut, Progress, Publish, RecoveryStep
from daemon.persistence.fan_out import AT_ONCE
from daemon.persistence.recovery_window import STEP_ROWS
from daemon.refusals import OutcomeUnknown, StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Hashable

R = TypeVar("R")

_BEGUN_BOUND = 30.0


class Ticket(Generic[R]):
    """`abandoned`: nobody waits for it any more; a public one that has not begun is then never run."""

    __slots__ = ("_answer", "_answered", "abandoned", "begun", "caller", "command", "deadline", "rows", "spreads")

    def __init__(self, command: Command[R], deadline: float) -> None:
        self.command = command
        self.caller = caller(command)
        self.deadline = deadline
        self.weigh(1)
        self.begun = False
        self.abandoned = False
        self._answered = trio.Event()
        self._answer: object = None

    def weigh(self, fan_out: int) -> None:
        """If each event goes to so many webhooks: `rows`, about how many its command writes in one transaction, and
        whether it `spreads`, a publish with more deliveries than are made in one."""
        command = self.command
        deliveries = fan_out * len(command.events) if isinstance(command, Publish) else 0
        self.spreads = deliveries > AT_ONCE
        self.rows = rows(command) + (0 if self.spreads else deliveries)

    @property
    def brings(self) -> bool:
        """Whether it is worth carrying out though nobody waits for it: not if it only claims."""
        command = self.command
        return not isinstance(command, Progress) or bool(command.finished or command.postponed)

    def answer(self, answer: object) -> None:
        """Answer with a result, or with the exception that `wait` is to raise."""
        self._answer = answer
        self._answered.set()

    @property
    def answered(self) -> bool:
        return self._answered.is_set()

    async def wait(self) -> R:
        """The result. Raises what it was answered with. Cancellation leaves the ticket as it is."""
        await self._answered.wait()
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer  # pyright: ignore[reportReturnType] -- execution answers each command with its R

    async def wait_patiently(self) -> R:
        """The result, if it begins before its deadline. Raises what it was answered with, `StorageUnavailable` when it
        did not begin in time, `OutcomeUnknown` when it did not end.

        Cancelled before it begins, it is abandoned; later, its end is waited for, bounded."""
        try:
            with trio.move_on_at(self.deadline):
                return await self.wait()
        finally:
            if not self.begun:
                self.abandoned = True
            elif not self.answered:
                with trio.CancelScope(shield=True, deadline=trio.current_time() + _BEGUN_BOUND):
                    await self._answered.wait()
        if not self.begun:
            raise StorageUnavailable("The storage did not get to this in time. Send it again later.")
        if not self.answered:
            raise OutcomeUnknown("The storage has not answered in time: this may or may not have been stored.")
        return await self.wait()


class Spread(Ticket[bool]):
    """A `FanOut`, queued again until it has made all deliveries; then the publish that promised them is answered."""

    __slots__ = ("_begun", "publish")

    def __init__(self, publish: Ticket[Any], begun: Begun) -> None:
        super().__init__(FanOut(begun.fan_out), math.inf)
        self.caller = publish.caller
        self.publish = publish
        self._begun = begun

    def complete(self) -> None:
        self.publish.answer(self._begun.published)


def caller(command: Command[Any]) -> Hashable:
    """Whose turn the command uses up: its tenant's."""
    if isinstance(command, Publish):
        return command.events[0].tenant
    return getattr(command, "tenant", None)


def rows(command: Command[Any]) -> int:
    """About how many rows the command writes, beside the deliveries of a publish."""
    if isinstance(command, Progress):
        return len(command.finished) + len(command.postponed) + sum(claim.limit for claim in command.claims)
    if isinstance(command, Publish):
        return len(command.events)
    if isinstance(command, RecoveryStep):
        return STEP_ROWS
    return AT_ONCE if isinstance(command, FanOut) else 4
