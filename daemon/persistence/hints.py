"""What delivery is told of the work there is for it. Hints and no more: what it attempts is what its claims get."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import trio

from daemon.persistence.commands import Publish
from daemon.persistence.foresight import Foresight

if TYPE_CHECKING:
    from daemon.persistence.backlog import Backlog
    from daemon.persistence.commands import Command
    from daemon.persistence.effects import Effects
    from daemon.persistence.registry import Registry

Hint = Callable[[Mapping[int, Mapping[int, int]]], None]
"""Takes tenant → webhook → how many deliveries; never blocks."""


def unheard(work: Mapping[int, Mapping[int, int]]) -> None:
    """Nobody listens: the disk remembers."""


class Hints:
    """`offer` takes what waits for a claim after a commit; `expect` what probably will after the next one."""

    def __init__(self, backlog: Backlog) -> None:
        self.offer: Hint = unheard
        self.expect: Hint = unheard
        self._backlog = backlog
        self._foresight = Foresight()
        self._foreseen = False

    def foresee(self, command: Command[Any]) -> None:
        """It is about to be carried out, if nothing speaks against it."""
        work = self._foresight.of(command, self._backlog.waits) if isinstance(command, Publish) else {}
        if work:
            self._foreseen = True
            self.expect(work)

    async def heard(self) -> None:
        """Once this returns, whoever expects what was foreseen has asked for it: to be awaited before a transaction
        begins, which then stores and claims in one commit."""
        if self._foreseen:
            self._foreseen = False
            await trio.lowlevel.checkpoint()

    def committed(self, effects: Effects, registry: Registry) -> None:
        """Carry out what a transaction has brought about, and offer what it has left to claim."""
        for (tenant, type), webhooks in effects.destinations.items():
            self._foresight.learn(tenant, type, webhooks)
        work = effects.carry_out(registry)
        if work:
            self.offer(work)
