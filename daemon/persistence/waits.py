"""What waits, and since when, by the ids of the tenants it waits for: what metrics and status tell."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from daemon.identifiers import now_ms
from daemon.persistence.oldest import Oldest

if TYPE_CHECKING:
    from daemon.persistence.backlog import Backlog
    from daemon.persistence.readers import Readers
    from daemon.persistence.registry import Registry


class Waits:
    """Of active tenants only. Those for which nothing waits are left out."""

    def __init__(self, backlog: Backlog, registry: Registry) -> None:
        self._backlog = backlog
        self._registry = registry
        self._oldest = Oldest()

    async def run(self, readers: Readers) -> None:
        """Look up the ages, until cancelled."""
        await self._oldest.run(readers, partial(self._backlog.of_tenants, self._registry.is_active))

    def total(self) -> int:
        """Deliveries that wait."""
        return sum(self.by_tenant().values())

    def by_tenant(self) -> dict[str, int]:
        """Deliveries that wait for each."""
        active = self._registry.is_active
        return self._registry.named({seq: n for seq, n in self._backlog.per_tenant() if active(seq)})

    def oldest_by_tenant(self) -> dict[str, float]:
        """Age in seconds of each one's oldest, as last looked up: once a second, and a second later for every thousand
        webhooks with a backlog."""
        now, waiting = now_ms(), self.by_tenant()
        ages = {seq: max(0.0, (now - created) / 1000) for seq, created in self._oldest.created.items()}
        return {tenant: age for tenant, age in self._registry.named(ages).items() if tenant in waiting}
