"""How many deliveries wait, per webhook and per tenant: exact as of the last commit, so that limits cost no query.

Those that are promised and not made yet (`fan_out.py`) count towards a tenant's limit, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator


class Waiting(Struct, frozen=True, array_like=True):
    """A change in how many deliveries wait for a webhook."""

    tenant: int
    webhook: int
    count: int


class Backlog:
    def __init__(self) -> None:
        self._webhooks: dict[int, tuple[int, int]] = {}
        self._tenants: dict[int, int] = {}
        self._promised: dict[int, int] = {}

    def add(self, change: Waiting) -> None:
        tenant, waiting = self._webhooks.get(change.webhook, (change.tenant, 0))
        self._set(tenant, change.webhook, waiting, waiting + change.count)

    def clear(self, webhook: int) -> int:
        """Nothing waits for the webhook any more; returns how many did."""
        tenant, waiting = self._webhooks.get(webhook, (0, 0))
        if waiting:
            self._set(tenant, webhook, waiting, 0)
        return waiting

    def clear_tenant(self, tenant: int) -> None:
        for webhook in [webhook for webhook, (owner, _) in self._webhooks.items() if owner == tenant]:
            self.clear(webhook)
        self._promised.pop(tenant, None)

    def promise(self, tenant: int, count: int) -> None:
        """So many more deliveries are promised; less than none: so many have been made."""
        promised = self._promised.get(tenant, 0) + count
        if promised > 0:
            self._promised[tenant] = promised
        else:
            self._promised.pop(tenant, None)

    def of_tenant(self, tenant: int) -> int:
        """What waits for the tenant, and what is promised to."""
        return self._tenants.get(tenant, 0) + self._promised.get(tenant, 0)

    def waits(self, webhook: int) -> bool:
        """Whether anything waits for the webhook."""
        return webhook in self._webhooks

    def per_tenant(self) -> Iterator[tuple[int, int]]:
        return iter(self._tenants.items())

    def of_tenants(self, chosen: Callable[[int], bool]) -> list[int]:
        """The webhooks, of the tenants chosen, for which anything waits."""
        return [webhook for webhook, (owner, _) in self._webhooks.items() if chosen(owner)]

    def webhooks(self, tenant: int | None = None) -> dict[int, dict[int, int]]:
        """tenant → webhook → how many wait; of one tenant or of all."""
        found: dict[int, dict[int, int]] = {}
        for webhook, (owner, waiting) in self._webhooks.items():
            if tenant is None or owner == tenant:
                found.setdefault(owner, {})[webhook] = waiting
        return found

    def _set(self, tenant: int, webhook: int, before: int, after: int) -> None:
        after = max(after, 0)
        total = self._tenants.get(tenant, 0) + after - before
        if after:
            self._webhooks[webhook] = tenant, after
        else:
            self._webhooks.pop(webhook, None)
        if total:
            self._tenants[tenant] = total
        else:
            self._tenants.pop(tenant, None)


def load(connection: sqlite3.Connection) -> Backlog:
    """Count what waits on disk, rows that a deactivation has cancelled excepted. Raises sqlite3.Error."""
    backlog = Backlog()
    for row in connection.execute(
        """SELECT w.tenant, w.seq, (SELECT count(*) FROM deliveries d WHERE d.finished IS NULL AND d.status = 'pending'
                                    AND d.webhook = w.seq AND d.seq > w.cancelled_through) AS waiting
           FROM (SELECT DISTINCT webhook FROM deliveries WHERE finished IS NULL AND status = 'pending') q
           JOIN webhooks w ON w.seq = q.webhook JOIN tenants t ON t.seq = w.tenant
           WHERE t.removed = 0 AND waiting > 0"""
    ):
        backlog.add(Waiting(*row))
    return backlog
