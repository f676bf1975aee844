"""What waits for one tenant's webhooks, and which of it to claim next (DESIGN, walk of one event, 5). Pure."""

from __future__ import annotations

from daemon.delivery.line import Line
from daemon.persistence.commands import Claim


class _Webhook:
    __slots__ = ("busy", "claimable", "left", "probing", "waiting")

    def __init__(self) -> None:
        self.waiting = 0
        self.busy = 0
        self.claimable = 0
        self.left = 0
        self.probing = False


class Work:
    """Marks with counts, per webhook. A count is a hint: the disk decides, and only an empty claim proves that
    nothing waits.

    `plan` takes counts and slots away, `settle` says what came of it; between the two nothing else may be planned."""

    def __init__(self, per_webhook: int) -> None:
        self._per_webhook = per_webhook
        self._webhooks: dict[int, _Webhook] = {}
        self._ready = Line()
        self._probes: set[int] = set()
        self.claimable = 0

    def __len__(self) -> int:
        """How many webhooks have work or attempts under way."""
        return len(self._webhooks)

    def add(self, webhook: int, count: int) -> None:
        """So many more deliveries wait for the webhook."""
        known = self._webhooks.get(webhook)
        if known is None:
            known = self._webhooks[webhook] = _Webhook()
        known.waiting += count
        self._changed(webhook, known)

    def probe(self) -> None:
        """Mark the webhooks whose last claim brought something but left nothing known: there may be more.

        For a step that goes to the store anyway: such a look is never worth a commit of its own."""
        for webhook in self._probes:
            known = self._webhooks[webhook]
            if not known.waiting:
                known.waiting = 1
                known.probing = True
                self._changed(webhook, known)
        self._probes.clear()

    def plan(self, slots: int) -> list[Claim]:
        """What to claim with so many slots of the tenant: one for each webhook in turn, the least busy first.

        The slots of the webhooks are taken; `settle` must follow for each claim."""
        limits: dict[int, int] = {}
        while slots and (webhook := self._ready.first()) is not None:
            known = self._webhooks[webhook]
            count = 1 if len(self._ready) > 1 else min(slots, known.claimable)
            limits[webhook] = limits.get(webhook, 0) + count
            slots -= count
            known.busy += count
            known.waiting -= count
            self._changed(webhook, known)
        for webhook in limits:
            known = self._webhooks[webhook]
            known.left = known.waiting
        return [Claim(webhook, limit) for webhook, limit in limits.items()]

    def settle(self, claim: Claim, got: int) -> None:
        """A claim came back with `got` deliveries; the slots that it did not need are free again."""
        webhook, asked = claim.webhook, claim.limit
        known = self._webhooks[webhook]
        known.busy -= asked - got
        if got < asked:
            known.waiting -= known.left
        elif known.probing:
            known.waiting += self._per_webhook
        known.probing = False
        if got and not known.waiting:
            self._probes.add(webhook)
        self._changed(webhook, known)

    def release(self, webhook: int) -> None:
        """An attempt at the webhook is over: its slot is free."""
        known = self._webhooks[webhook]
        known.busy -= 1
        self._changed(webhook, known)

    def _changed(self, webhook: int, known: _Webhook) -> None:
        claimable = min(known.waiting, self._per_webhook - known.busy)
        self.claimable += claimable - known.claimable
        known.claimable = claimable
        if claimable:
            self._ready.put(webhook, known.busy)
            return
        self._ready.leave(webhook)
        if not known.waiting and not known.busy and webhook not in self._probes:
            del self._webhooks[webhook]
