"""What a transaction changes outside the file: collected as it runs, carried out after COMMIT, dropped on ROLLBACK."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.persistence.backlog import Backlog, Waiting
from daemon.persistence.recovery_changes import RecoveryChanges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from daemon.persistence.registry import Registry


class Effects:
    """`cancelling` and `removing` name webhooks and tenants whose rows a sweep has to rewrite or delete;
    `work` what the router is offered; `recoveries` what became of these; `written` about how many bytes of values were;
    `added` how many events and deliveries were published, and `destinations` to which webhooks, by tenant and type."""

    def __init__(self, backlog: Backlog) -> None:
        self._backlog = backlog
        self._changes: list[Callable[[Backlog], object]] = []
        self._added: dict[int, int] = {}
        self.registry: list[Callable[[Registry], object]] = []
        self.cancelling: set[int] = set()
        self.removing: set[int] = set()
        self.work: list[Waiting] = []
        self.recoveries = RecoveryChanges()
        self.written = self.added = 0
        self.destinations: dict[tuple[int, str], Sequence[int]] = {}
        self._published: set[str] = set()
        self._reactivated: list[int] = []

    def waiting_of(self, tenant: int) -> int:
        """How many deliveries wait for the tenant or are promised, those of this transaction included."""
        return self._backlog.of_tenant(tenant) + self._added.get(tenant, 0)

    def enqueued(self, tenant: int, webhook: int, count: int) -> None:
        """Rows became pending: they wait, and the router is told."""
        change = Waiting(tenant, webhook, count)
        self._added[tenant] = self._added.get(tenant, 0) + count
        self._changes.append(lambda backlog: backlog.add(change))
        self.work.append(change)

    def promised(self, tenant: int, count: int) -> None:
        """So many deliveries are yet to be made; less than none: so many of these have been."""
        self._added[tenant] = self._added.get(tenant, 0) + count
        self._changes.append(lambda backlog: backlog.promise(tenant, count))

    def postponed(self, tenant: int, webhook: int, count: int) -> None:
        """Rows became pending again; their actor, which put them back, knows of them."""
        change = Waiting(tenant, webhook, count)
        self._changes.append(lambda backlog: backlog.add(change))

    def held_back(self, tenant: int, webhook: int) -> None:
        """There may be rows that wait and could not be claimed until now."""
        self.work.append(Waiting(tenant, webhook, 1))

    def published(self, events: Iterable[str]) -> None:
        """These were; their deliveries are enqueued, or promised."""
        self._published.update(events)

    def claimed(self, tenant: int, webhook: int, events: Sequence[str]) -> None:
        """Deliveries of these events are pending no more. Nobody need be told of those that this very transaction has
        made."""
        self.dequeued(tenant, webhook, len(events))
        if self._published and (known := sum(event in self._published for event in events)):
            self.work.append(Waiting(tenant, webhook, -known))

    def dequeued(self, tenant: int, webhook: int, count: int) -> None:
        """Rows are pending no more: claimed, or cancelled one by one."""
        change = Waiting(tenant, webhook, -count)
        self._changes.append(lambda backlog: backlog.add(change))

    def cancelled(self, webhook: int) -> None:
        """All that waited for the webhook is cancelled from now on; its rows are yet to be rewritten."""
        self._changes.append(lambda backlog: backlog.clear(webhook))
        self.cancelling.add(webhook)

    def removed(self, tenant: int) -> None:
        self._changes.append(lambda backlog: backlog.clear_tenant(tenant))
        self.registry.append(lambda registry: registry.remove_tenant(tenant))
        self.removing.add(tenant)
        self.recoveries.woken_tenants.append(tenant)

    def reactivated(self, tenant: int) -> None:
        self._reactivated.append(tenant)
        self.recoveries.woken_tenants.append(tenant)

    def carry_out(self, registry: Registry) -> dict[int, dict[int, int]]:
        """Apply all to the registry and the backlog; returns the work to offer, tenant → webhook → count."""
        for change in self._changes:
            change(self._backlog)
        for update in self.registry:
            update(registry)
        work: dict[int, dict[int, int]] = {}
        for tenant in self._reactivated:
            work.update(self._backlog.webhooks(tenant))
        for offer in self.work:
            webhooks = work.setdefault(offer.tenant, {})
            webhooks[offer.webhook] = webhooks.get(offer.webhook, 0) + offer.count
        return {tenant: left for tenant, webhooks in work.items() if (left := _positive(webhooks))}


def _positive(counts: dict[int, int]) -> dict[int, int]:
    return {webhook: count for webhook, count in counts.items() if count > 0}
