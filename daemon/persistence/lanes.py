"""The two queues before the writer, as plain data: what is admitted, and what the next transaction takes.

The *internal* lane (tenant actors' progress) is never refused: slots bound it. The *public* lane is bounded here, and
its callers, one queue each, take turns, so that one publisher's flood delays another's event by one command at most.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import trio

from daemon.persistence.commands import Command, Progress, Publish, Published

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

R = TypeVar("R")

BATCH_ROWS = 2000
PUBLIC_CAPACITY = 4096
_KEPT_FOR_PUBLIC = BATCH_ROWS // 4
_LARGE = BATCH_ROWS // 2
# A publish and then the claim of what it published: whoever does both between two large commands waits for one.
_BETWEEN = 2
_CALLERS_KNOWN = 10_000


class Ticket(Generic[R]):
    """A command on its way: queued, then begun, then answered. `abandoned`: nobody waits for it any more; a public one
    that has not begun is then never run."""

    __slots__ = ("_answer", "_answered", "abandoned", "begun", "caller", "command", "deadline", "rows")

    def __init__(self, command: Command[R], deadline: float) -> None:
        self.command = command
        self.caller = caller(command)
        self.deadline = deadline
        self.rows = rows(command)
        self.begun = False
        self.abandoned = False
        self._answered = trio.Event()
        self._answer: object = None

    def answer(self, answer: object) -> None:
        """Answer with a result, or with the exception that `wait` is to raise."""
        self._answer = answer
        self._answered.set()

    @property
    def answered(self) -> bool:
        return self._answered.is_set()

    async def settled(self) -> None:
        """Wait for the answer without looking at it."""
        await self._answered.wait()

    async def wait(self) -> R:
        """The result. Raises what it was answered with. Cancellation leaves the ticket as it is."""
        await self._answered.wait()
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer  # pyright: ignore[reportReturnType] -- execution answers each command with its R


def caller(command: Command[Any]) -> object:
    """Whose turn the command uses up: its tenant's."""
    if isinstance(command, Publish):
        return command.events[0].tenant
    return getattr(command, "tenant", None)


def rows(command: Command[Any], fan_out: int = 1) -> int:
    """About how many rows the command writes, if each of its events goes to `fan_out` webhooks."""
    if isinstance(command, Progress):
        return len(command.finished) + len(command.postponed) + sum(claim.limit for claim in command.claims)
    if isinstance(command, Publish):
        return (1 + fan_out) * len(command.events)
    return 4


class Lanes:
    def __init__(self, capacity: int = PUBLIC_CAPACITY) -> None:
        self._capacity = capacity
        self._internal: deque[Ticket[Any]] = deque()
        self._public: dict[object, deque[Ticket[Any]]] = {}
        self._waiting = self._large_waiting = 0
        self._held_back = False
        self._since_large = _BETWEEN
        self._fan_out: dict[object, int] = {}

    def __bool__(self) -> bool:
        return bool(self._internal or self._public)

    def put_internal(self, ticket: Ticket[Any]) -> None:
        self._internal.append(ticket)

    def put_back(self, tickets: Iterable[Ticket[Any]]) -> None:
        """Internal tickets whose transaction failed go to the front, in their order."""
        self._internal.extendleft(reversed(list(tickets)))

    def put_public(self, ticket: Ticket[Any]) -> bool:
        """False when the lane is full: the ticket was not taken."""
        if self._waiting >= self._capacity:
            return False
        ticket.rows = rows(ticket.command, self._fan_out.get(ticket.caller, 1))
        self._waiting += 1
        self._large_waiting += ticket.rows > _LARGE
        self._public.setdefault(ticket.caller, deque()).append(ticket)
        return True

    def learn(self, command: Command[Any], published: Sequence[Published]) -> None:
        """How many webhooks the caller's events go to, for the weight of its next command."""
        if len(self._fan_out) >= _CALLERS_KNOWN:
            self._fan_out.clear()
        self._fan_out[caller(command)] = max(one.deliveries for one in published)

    def take(self, now: float) -> list[Ticket[Any]]:
        """What the next transaction runs: internal first, then callers in turn, small commands before large ones; about
        `BATCH_ROWS` rows, or one larger command alone. Drops tickets abandoned or past their deadline at `now`.

        Steps without end starve no public command: a part of each batch is kept for them, and one that did not fit
        goes first in the next. Those behind it that do fit do not wait for it; and after a large command come, as long
        as they wait, `_BETWEEN` batches of steps and small commands before another: nobody small waits for two."""
        turn = self._since_large >= _BETWEEN
        taken = self._in_turn(BATCH_ROWS, now, alone=True, most=1) if turn and self._held_back else []
        room = BATCH_ROWS - _rows_of(taken)
        kept = _KEPT_FOR_PUBLIC if self._public and not taken else 0
        internal: list[Ticket[Any]] = []
        while self._internal and (not (taken or internal) or self._internal[0].rows <= room - kept):
            ticket = self._internal.popleft()
            internal.append(ticket)
            room -= ticket.rows
        taken += self._in_turn(room, now, alone=False, largest=_LARGE)
        if turn or not (taken or internal):
            room = BATCH_ROWS - _rows_of(taken) - _rows_of(internal)
            taken += self._in_turn(room, now, alone=not (taken or internal))
        self._held_back = bool(self._public)
        large = any(ticket.rows > _LARGE for ticket in taken)
        self._since_large = 0 if large or (self._internal and not internal) else self._since_large + 1
        return internal + taken

    @property
    def large_waiting(self) -> bool:
        """Whether the next batch may be a large command, that is, a long one."""
        return self._large_waiting > 0

    def _in_turn(
        self, room: int, now: float, *, alone: bool, largest: int = BATCH_ROWS, most: int = PUBLIC_CAPACITY
    ) -> list[Ticket[Any]]:
        """At most so many public tickets that fit, none above `largest` rows, one of each caller in turn; if `alone`,
        the first whatever its size.

        A caller whose next ticket is too large keeps its turn, before those that have had theirs."""
        taken: list[Ticket[Any]] = []
        too_large: dict[object, deque[Ticket[Any]]] = {}
        while self._public and room > 0 and len(taken) < most:
            turn = next(iter(self._public))
            queue = self._public.pop(turn)
            while queue and (queue[0].abandoned or queue[0].deadline <= now):
                self._pop(queue)
            if not queue:
                continue
            if queue[0].rows > min(room, largest) and (taken or not alone):
                too_large[turn] = queue
                continue
            ticket = self._pop(queue)
            taken.append(ticket)
            room -= ticket.rows
            if queue:
                self._public[turn] = queue
        self._public = too_large | self._public
        return taken

    def _pop(self, queue: deque[Ticket[Any]]) -> Ticket[Any]:
        ticket = queue.popleft()
        self._waiting -= 1
        self._large_waiting -= ticket.rows > _LARGE
        return ticket

    def take_public(self) -> list[Ticket[Any]]:
        """Everything in the public lane, to be refused."""
        taken = [ticket for queue in self._public.values() for ticket in queue]
        self._public.clear()
        self._waiting = self._large_waiting = 0
        return taken


def _rows_of(tickets: list[Ticket[Any]]) -> int:
    return sum(ticket.rows for ticket in tickets)
