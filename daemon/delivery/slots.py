"""Who may begin an attempt: the daemon's slots, shared fairly between tenants (CONTRACT §8.4). Pure; integers only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.delivery.line import Line

if TYPE_CHECKING:
    from collections.abc import Sequence

FEW = 8
"""The last quarter of all slots is open only to tenants that hold fewer than this."""


LATELY = 1.0
"""Seconds for which it is remembered, once or twice, how many tenants held slots."""


class Slots:
    """At most `total` slots in all and `per_tenant` for each tenant.

    A slot is held from the moment it is taken or handed over until it is given back. While a tenant that may have it
    waits, no slot is free: a slot given back goes at once to the waiting tenant that holds the fewest. Every
    operation is O(1) in tenants for each slot that changes hands."""

    def __init__(self, total: int, per_tenant: int) -> None:
        self._total = total
        self._per_tenant = per_tenant
        self._common = total - total // 4
        self._taken = 0
        self._held: dict[int, int] = {}
        self._wished: dict[int, int] = {}
        self._handed: dict[int, int] = {}
        self._line = Line()
        # The most tenants that held any at a time since then, and in the time before: those whose attempts end at one
        # moment come back in the next.
        self._crowd = self._crowd_before = 0
        self._since = 0.0

    @property
    def taken(self) -> int:
        """How many slots are held by anybody."""
        return self._taken

    @property
    def waiting(self) -> int:
        """How many tenants wish for more than they hold."""
        return len(self._wished)

    def held(self, tenant: int) -> int:
        return self._held.get(tenant, 0)

    def share(self, now: float) -> int:
        """How many a tenant may count on beside the others that have been holding some lately: what it
        leaves to slow webhooks must be a part of that, or those of many tenants would hold all slots there are.

        `now` in seconds on any one clock that never goes back."""
        if now - self._since >= LATELY:
            # However long it is since anybody asked: what is held meanwhile is held until now.
            self._crowd_before, self._crowd, self._since = self._crowd, len(self._held), now
        crowd = max(1, self._crowd, self._crowd_before)
        return min(self._per_tenant, max(FEW, self._common // crowd))

    def alone(self, tenant: int) -> bool:
        """Whether no other tenant has held slots at the same time lately (as of the last `share`), or does now."""
        return max(self._crowd, self._crowd_before) <= 1 and (not self._held or tenant in self._held)

    def ask(self, tenant: int, wanted: int) -> int:
        """Take as many of `wanted` slots as may be had now; wait for the rest.

        The rest replaces what the tenant waited for until now: `ask(tenant, 0)` goes out of the line."""
        held = self._held.get(tenant, 0)
        got = self._available(held, wanted) if wanted else 0
        if got:
            held += got
            self._held[tenant] = held
            self._taken += got
            self._crowd = max(self._crowd, len(self._held))
        if wanted > got:
            self._wished[tenant] = wanted - got
            self._stand(tenant, held)
        elif self._wished.pop(tenant, None) is not None:
            self._line.leave(tenant)
        return got

    def handed(self, tenant: int) -> bool:
        """Whether the tenant has slots to collect."""
        return tenant in self._handed

    def collect(self, tenant: int) -> int:
        """The slots that were handed over to the tenant while it waited, since it asked last."""
        return self._handed.pop(tenant, 0) if self._handed else 0

    def give(self, tenant: int, count: int) -> Sequence[int]:
        """Give slots back. Returns the tenants to which they were handed over; each has something to collect.

        Raises ValueError if the tenant does not hold that many."""
        held = self._held.get(tenant, 0) - count
        if held < 0:
            raise ValueError("more slots given back than were held")
        if held:
            self._held[tenant] = held
        else:
            self._held.pop(tenant, None)
        self._taken -= count
        if tenant in self._wished:
            self._stand(tenant, held)
        return self._hand_over() if len(self._line) else ()

    def _available(self, held: int, wanted: int) -> int:
        room = min(wanted, self._per_tenant - held)
        common = max(0, min(room, self._common - self._taken))
        reserved = min(room - common, self._total - self._taken - common, FEW - held - common)
        return common + max(0, reserved)

    def _stand(self, tenant: int, held: int) -> None:
        if held < self._per_tenant:
            self._line.put(tenant, held)
        else:
            self._line.leave(tenant)

    def _hand_over(self) -> Sequence[int]:
        lucky: dict[int, None] = {}
        while self._taken < self._total and (tenant := self._line.first()) is not None:
            held = self._held.get(tenant, 0)
            if held >= FEW and self._taken >= self._common:
                break
            self._held[tenant] = held + 1
            self._taken += 1
            self._crowd = max(self._crowd, len(self._held))
            self._handed[tenant] = self._handed.get(tenant, 0) + 1
            if self._wished[tenant] > 1:
                self._wished[tenant] -= 1
                self._stand(tenant, held + 1)
            else:
                del self._wished[tenant]
                self._line.leave(tenant)
            lucky[tenant] = None
        return list(lucky)
