"""Where an event that is being published will go, as far as those before it tell: then the claim of its deliveries can
travel in the transaction that makes them, and one commit is enough where there were two. Pure.

A guess and no more: the claim finds out on disk what is true, and what nobody has foreseen is offered after the
commit."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.persistence.commands import Publish

MOST = 16
"""Deliveries. What makes more is worth a commit of its own, and a shorter one to whoever waits for it."""
_KNOWN = 10_000


class Foresight:
    """Which webhooks the last event of each tenant and type went to; of more than 10,000 such pairs those that were
    published last are known."""

    def __init__(self) -> None:
        self._webhooks: OrderedDict[tuple[int, str], Sequence[int]] = OrderedDict()

    def learn(self, tenant: int, type: str, webhooks: Sequence[int]) -> None:
        """The tenant's events of this type go to these webhooks."""
        self._webhooks.pop((tenant, type), None)
        if 0 < len(webhooks) <= MOST:
            self._webhooks[tenant, type] = webhooks
            if len(self._webhooks) > _KNOWN:
                self._webhooks.popitem(last=False)

    def of(self, publish: Publish, waits: Callable[[int], bool]) -> dict[int, dict[int, int]]:
        """What will probably become pending, tenant → webhook → how many. Without the webhooks for which something
        `waits` already: what comes is not what is claimed next. Empty if it is more than `MOST`."""
        if len(publish.events) > MOST:
            return {}
        work: dict[int, dict[int, int]] = {}
        left = MOST
        for event in publish.events:
            for webhook in self._webhooks.get((event.tenant, event.type), ()):
                if waits(webhook):
                    continue
                left -= 1
                if left < 0:
                    return {}
                webhooks = work.setdefault(event.tenant, {})
                webhooks[webhook] = webhooks.get(webhook, 0) + 1
        return work
