"""What delivery is told of the work there is for it. Hints and no more: what it attempts is what its claims get."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import trio

from daemon.persistence.commands import Publish
from daemon.persistence.foresight import Foresight

if TYPE_CHECKING:
    from daemon.persistence.backlog import Backlog
    from daemon.persistence.commands import Command
    from daemon.persistence.effects import Effects
    from daemon.persistence.lanes import Lanes
    from daemon.persistence.registry import Registry

Work = Mapping[int, Mapping[int, int]]
"""Tenant → webhook → how many deliveries."""


class Listener(Protocol):
    """What delivery takes of the store. Nothing here may block."""

    def offer(self, work: Work) -> None:
        """So much more waits for a claim, as of the last commit."""

    def expect(self, work: Work) -> None:
        """So much more probably will after the next one."""

    def board(self) -> bool:
        """The next transaction is about to begin, and nobody waits for it in a hurry. Whether steps will come along
        that can wait for such a moment."""
        ...


class Nobody:
    """A listener for a store without delivery: the disk remembers."""

    def offer(self, work: Work) -> None: ...

    def expect(self, work: Work) -> None: ...

    def board(self) -> bool:
        return False


class Hints:
    """`listener` may be replaced."""

    def __init__(self, backlog: Backlog) -> None:
        self.listener: Listener = Nobody()
        self._backlog = backlog
        self._foresight = Foresight()
        self._foreseen = False

    def foresee(self, command: Command[Any]) -> None:
        """It was admitted and will be carried out next, if nothing speaks against it."""
        work = self._foresight.of(command, self._backlog.waits) if isinstance(command, Publish) else {}
        if work:
            self._foreseen = True
            self.listener.expect(work)

    async def heard(self, lanes: Lanes) -> None:
        """To be awaited before a transaction begins. Once this returns, whoever expects what was foreseen until now has
        asked for it, and what can wait for such a transaction as `lanes` have for it is there too. So is what those
        send next whom the last commit has woken (the claim of what was published), if a long one may begin."""
        boarding = lanes.unhurried and self.listener.board()
        if self._foreseen or boarding or lanes.long_waiting:
            self._foreseen = False
            # One turn wakes the tenants' actors, in the other they have asked.
            await trio.lowlevel.checkpoint()
            await trio.lowlevel.checkpoint()

    def committed(self, effects: Effects, registry: Registry) -> None:
        """Carry out what a transaction has brought about, and offer what it has left to claim."""
        for (tenant, type), webhooks in effects.destinations.items():
            self._foresight.learn(tenant, type, webhooks)
        work = effects.carry_out(registry)
        if work:
            self.listener.offer(work)
