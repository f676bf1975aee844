"""The queues before the writer, as plain data: what is admitted, and what the next transaction takes.

The *internal* lane (tenant actors' progress) is never refused: slots bound it. The *public* lane is bounded here, and
its callers, one queue each, take turns, so that one publisher's flood delays another's event by one command at most.
*Fan-outs*, what very large publishes have left to do, go round too; until its own is complete, a caller's next
commands are held.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from daemon.persistence.commands import ForgetRecoveries, RecoveryStep
from daemon.persistence.tickets import Spread, caller

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Sequence

    from daemon.persistence.commands import Command, Published
    from daemon.persistence.tickets import Ticket

BATCH_ROWS = 1000
PUBLIC_CAPACITY = 4096
_KEPT_FOR_PUBLIC = BATCH_ROWS // 4
_LARGE = BATCH_ROWS // 2
_FEW_ROWS = 16
# A publish and then the claim of what it published: whoever does both between two long ones waits for one.
_BETWEEN = 2
# With more under way none would be complete before its publisher's patience ends; one that waits is refused in time.
_MOST_SPREADING = 8
_CALLERS_KNOWN = 10_000


class Lanes:
    def __init__(self, capacity: int = PUBLIC_CAPACITY) -> None:
        self._capacity = capacity
        self._internal: deque[Ticket[Any]] = deque()
        self._public: dict[Hashable, deque[Ticket[Any]]] = {}
        self._held: dict[Hashable, deque[Ticket[Any]]] = {}
        self._fan_outs: deque[Spread] = deque()
        self._spreading: dict[Spread, None] = {}
        # Of the batch that is being taken: how many of it spread, and what the callers of those sent after them.
        self._beginning = 0
        self._behind: dict[Hashable, deque[Ticket[Any]]] = {}
        self._waiting = self._large_waiting = 0
        self._left_behind = False
        self._since_long = _BETWEEN
        self._spread_last = False
        self._fan_out: dict[Hashable, int] = {}

    def __bool__(self) -> bool:
        return bool(self._internal or self._public or self._fan_outs)

    @property
    def steps(self) -> bool:
        """Whether any of the internal lane waits that has something to bring, or somebody who waits for it."""
        return any(not ticket.abandoned or ticket.brings for ticket in self._internal)

    @property
    def unhurried(self) -> bool:
        """Whether all that waits is a few steps that bring outcomes: nobody is kept waiting long by what they are
        carried out with."""
        if not self._internal or self._public or self._fan_outs:
            return False
        return _rows_of(self._internal) <= _FEW_ROWS and all(ticket.brings for ticket in self._internal)

    def put_internal(self, ticket: Ticket[Any]) -> None:
        self._internal.append(ticket)

    def put_back(self, tickets: Iterable[Ticket[Any]]) -> None:
        """Internal tickets whose transaction failed go to the front, in their order; but what only goes on with a job
        on disk is asked for again when the storage is back, and holds up no stop until then."""
        for ticket in reversed(list(tickets)):
            if isinstance(ticket, Spread):
                self._fan_outs.appendleft(ticket)
            elif isinstance(ticket.command, (RecoveryStep, ForgetRecoveries)):
                ticket.answer(None)
            else:
                self._internal.appendleft(ticket)

    def put_public(self, ticket: Ticket[Any]) -> bool:
        """False when the lane is full: the ticket was not taken."""
        if self._waiting >= self._capacity:
            return False
        ticket.weigh(self._fan_out.get(ticket.caller, 1))
        self._waiting += 1
        self._large_waiting += ticket.rows > _LARGE
        queues = self._held if ticket.caller in self._held else self._public
        queues.setdefault(ticket.caller, deque()).append(ticket)
        return True

    def spread(self, fan_out: Spread) -> None:
        """It has deliveries to make, or more of them; nothing else of its caller is taken until it is `complete`."""
        self._fan_outs.append(fan_out)
        self._spreading[fan_out] = None
        if fan_out.caller not in self._held:
            self._held[fan_out.caller] = self._public.pop(fan_out.caller, deque())

    def complete(self, fan_out: Spread) -> None:
        del self._spreading[fan_out]
        if not any(other.caller == fan_out.caller for other in self._spreading):
            queue = self._held.pop(fan_out.caller)
            if queue:
                self._public[fan_out.caller] = queue

    @property
    def spreading(self) -> Collection[Spread]:
        """The fan-outs that are not complete."""
        return self._spreading

    def learn(self, command: Command[Any], published: Sequence[Published]) -> None:
        """How many webhooks the caller's events go to, for the weight of its next command."""
        if len(self._fan_out) >= _CALLERS_KNOWN:
            self._fan_out.clear()
        self._fan_out[caller(command)] = max(one.deliveries for one in published)

    def take(self, now: float) -> list[Ticket[Any]]:
        """What the next transaction runs: internal first, then callers in turn, small commands before large ones; about
        `BATCH_ROWS` rows, or one larger command alone. Drops tickets abandoned or past their deadline at `now`.

        Steps without end starve no public command: a part of each batch is kept for them, and one that did not fit
        goes first in the next. Those behind it that do fit do not wait for it. Large commands and fan-outs are long:
        there is one in a batch, of either kind in turn, and after it come, as long as they wait, `_BETWEEN` batches of
        steps and small commands before another: nobody small waits for two."""
        self._beginning, self._behind = 0, {}
        due = self._since_long >= _BETWEEN
        spread = bool(self._fan_outs) and (self._full or not (self._left_behind and self._spread_last))
        first = due and self._left_behind and not spread
        taken = self._in_turn(BATCH_ROWS, now, alone=True, most=1) if first else []
        room = BATCH_ROWS - _rows_of(taken)
        kept = _KEPT_FOR_PUBLIC if self._public and not taken else 0
        internal: list[Ticket[Any]] = []
        while self._internal and (not (taken or internal) or self._internal[0].rows <= room - kept):
            ticket = self._internal.popleft()
            internal.append(ticket)
            room -= ticket.rows
        taken += self._in_turn(room, now, alone=False, largest=_LARGE)
        fan_outs: list[Ticket[Any]] = []
        if due or not (taken or internal):
            if spread:
                fan_outs.append(self._fan_outs.popleft())
            else:
                room = BATCH_ROWS - _rows_of(taken) - _rows_of(internal)
                taken += self._in_turn(room, now, alone=not (taken or internal))
        self._public |= self._behind
        self._left_behind = bool(self._public)
        long = bool(fan_outs) or any(ticket.rows > _LARGE for ticket in taken) or (self._internal and not internal)
        self._since_long = 0 if long else self._since_long + 1
        self._spread_last = bool(fan_outs) if long else self._spread_last
        return internal + fan_outs + taken

    @property
    def _full(self) -> bool:
        return len(self._spreading) + self._beginning >= _MOST_SPREADING

    @property
    def long_waiting(self) -> bool:
        """Whether the next batch may be a long one."""
        return self._large_waiting > 0 or bool(self._fan_outs)

    def _in_turn(
        self, room: int, now: float, *, alone: bool, largest: int = BATCH_ROWS, most: int = PUBLIC_CAPACITY
    ) -> list[Ticket[Any]]:
        """At most so many public tickets that fit, none above `largest` rows, one of each caller in turn; if `alone`,
        the first whatever its size. None that spreads while as many do as may, none of a caller after one that does.

        A caller whose next ticket has to wait keeps its turn, before those that have had theirs."""
        taken: list[Ticket[Any]] = []
        later: dict[Hashable, deque[Ticket[Any]]] = {}
        while self._public and room > 0 and len(taken) < most:
            turn = next(iter(self._public))
            queue = self._public.pop(turn)
            while queue and (queue[0].abandoned or queue[0].deadline <= now):
                self._pop(queue)
            if not queue:
                continue
            too_many = queue[0].spreads and self._full
            if too_many or (queue[0].rows > min(room, largest) and (taken or not alone)):
                later[turn] = queue
                continue
            ticket = self._pop(queue)
            taken.append(ticket)
            room -= ticket.rows
            self._beginning += ticket.spreads
            if queue:
                (self._behind if ticket.spreads else self._public)[turn] = queue
        self._public = later | self._public
        return taken

    def _pop(self, queue: deque[Ticket[Any]]) -> Ticket[Any]:
        ticket = queue.popleft()
        self._waiting -= 1
        self._large_waiting -= ticket.rows > _LARGE
        return ticket

    def take_public(self) -> list[Ticket[Any]]:
        """Everything in the public lane, to be refused."""
        queues = [*self._public.values(), *self._held.values()]
        taken = [ticket for queue in queues for ticket in queue]
        for queue in queues:
            queue.clear()
        self._public.clear()
        self._waiting = self._large_waiting = 0
        return taken


def _rows_of(tickets: Iterable[Ticket[Any]]) -> int:
    return sum(ticket.rows for ticket in tickets)
