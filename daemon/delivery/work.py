"""What waits for one tenant's webhooks, and which of it to claim next (DESIGN, walk of one event, 5). Pure."""

from __future__ import annotations

from collections import OrderedDict
from math import inf
from typing import TYPE_CHECKING

from daemon.delivery.lanes import Lanes, Place
from daemon.delivery.promptness import PROMPT
from daemon.persistence.commands import Claim

if TYPE_CHECKING:
    from daemon.delivery.pace import Pace
    from daemon.delivery.promptness import Verdicts
    from daemon.persistence.commands import Bound


class _Webhook(Place):
    __slots__ = ("left", "most", "old", "probing", "waiting")

    def __init__(self, prompt: bool | None, most: int) -> None:
        super().__init__(prompt)
        self.most = most
        self.waiting = 0
        self.left = 0
        self.old = 0
        self.probing = False


class Work:
    """Marks with counts, per webhook. A count is a hint: the disk decides, and only an empty claim proves that
    nothing waits.

    `plan` takes counts and slots away, `settle` says what came of it; between the two nothing else may be planned.
    `Lanes` has the rule which of them may have a slot. Instants are seconds on any one clock that never goes back."""

    def __init__(self, per_webhook: int, per_tenant: int, verdicts: Verdicts, pace: Pace) -> None:
        self._per_webhook = per_webhook
        self._verdicts = verdicts
        self._pace = pace
        self._webhooks: dict[int, _Webhook] = {}
        self._lanes = Lanes(per_tenant)
        # Attempts in flight for no longer than `PROMPT`, the oldest first: webhook and beginning.
        self._young: OrderedDict[int, tuple[int, float]] = OrderedDict()
        # When the others began.
        self._old: dict[int, float] = {}
        # Those in flight that the pace reckons with.
        self._slow: set[int] = set()
        self._probes: set[int] = set()
        self._now = 0.0
        self._turn: float | None = None
        self.behind = False
        """Whether the last plan left work behind of a webhook that it claims for."""

    def __len__(self) -> int:
        """How many webhooks have work or attempts under way."""
        return len(self._webhooks)

    @property
    def claimable(self) -> int:
        """How many slots `plan` could put to use now."""
        return self._lanes.claimable

    @property
    def pressing(self) -> bool:
        """Whether any of them may be for a webhook that nobody knows to be slow."""
        return self._lanes.pressing

    @property
    def withheld(self) -> int:
        """How many more it could once their turn has come."""
        return self._lanes.withheld

    @property
    def turn(self) -> float:
        """When to look again because a turn comes; what was due at the last look is no reason."""
        return inf if self._turn is None or self._turn <= self._now or not self._lanes.withheld else self._turn

    def add(self, webhook: int, count: int) -> None:
        """So many more deliveries wait for the webhook."""
        known = self._webhooks.get(webhook)
        if known is None:
            known = self._webhooks[webhook] = _Webhook(self._verdicts.of(webhook), self._per_webhook)
        known.waiting += count
        self._changed(webhook, known, 0, known.prompt)

    def probe(self) -> None:
        """Mark the webhooks whose last claim brought something but left nothing known: there may be more.

        For a step that goes to the store anyway: such a look is never worth a commit of its own."""
        for webhook in self._probes:
            known = self._webhooks[webhook]
            if not known.waiting:
                known.waiting = 1
                known.probing = True
                self._changed(webhook, known, 0, known.prompt)
        self._probes.clear()

    def plan(self, slots: int) -> list[Claim]:
        """What to claim with so many slots of the tenant: one for each webhook in turn, the least busy first.

        The slots of the webhooks are taken; `settle` must follow for each claim."""
        limits: dict[int, int] = {}
        allowed = self._lanes.allowed
        while slots and (turn := self._lanes.first()) is not None:
            webhook, most = turn
            known = self._webhooks[webhook]
            count = min(slots, most, known.claimable)
            limits[webhook] = limits.get(webhook, 0) + count
            slots -= count
            known.waiting -= count
            self._changed(webhook, known, count, known.prompt)
        if used := allowed - self._lanes.allowed:
            self._turn = None
            if used > 1:
                self._pace.turn(self._now, used - 1)
        self.behind = False
        for webhook in limits:
            known = self._webhooks[webhook]
            known.left = known.waiting
            self.behind = self.behind or known.left > 0
        return [Claim(webhook, limit) for webhook, limit in limits.items()]

    def settle(self, claim: Claim, got: int, bound: Bound | None = None) -> None:
        """A claim came back with `got` deliveries; the slots that it did not need are free again. `bound`: by the limit
        that the webhook has of its own. It is learnt here, the disk keeps it before that too."""
        webhook, asked = claim.webhook, claim.limit
        known = self._webhooks[webhook]
        most, allowed = (self._per_webhook, asked) if bound is None else bound
        known.most = min(most, self._per_webhook)
        if got < allowed:
            known.waiting -= known.left
        else:
            # Nobody has looked for the rest.
            known.waiting += asked - allowed
            if known.probing and got:
                known.waiting += known.most
        known.probing = False
        if got and not known.waiting:
            self._probes.add(webhook)
        self._changed(webhook, known, got - asked, known.prompt)

    def begin(self, webhook: int, delivery: int, now: float) -> None:
        """The attempt at a delivery that was claimed begins; `end` must follow."""
        self._young[delivery] = (webhook, now)
        if not self._webhooks[webhook].prompt:
            self._hold(delivery, now)

    def look(self, now: float, slots: int) -> None:
        """Take the time into account, and how many slots are the tenant's just now. Always before `plan`: what it says
        of slow webhooks is as of the last look."""
        self._now = now
        self._lanes.limit(slots)
        while self._young:
            webhook, began = next(iter(self._young.values()))
            if now - began <= PROMPT:
                break
            delivery, _ = self._young.popitem(last=False)
            self._old[delivery] = began
            known = self._webhooks[webhook]
            known.old += 1
            self._hold(delivery, now)
            self._changed(webhook, known, 0, False)
        self._allow()

    def end(self, webhook: int, delivery: int, now: float, *, attempted: bool) -> bool:
        """The attempt is over: its slot is free. Not `attempted`, it says nothing about the webhook. Returns whether
        it ended promptly."""
        known = self._webhooks[webhook]
        if delivery in self._slow:
            self._slow.discard(delivery)
            self._pace.held(-1, now)
        young = self._young.pop(delivery, None)
        if young is None:
            began = self._old.pop(delivery)
            known.old -= 1
        else:
            began = young[1]
        prompt = known.prompt
        if attempted:
            prompt = now - began <= PROMPT and not known.old
            if not (prompt and known.prompt):
                self._pace.ended(now - began)
        self._changed(webhook, known, -1, prompt)
        return now - began <= PROMPT

    def _hold(self, delivery: int, now: float) -> None:
        if delivery not in self._slow:
            self._slow.add(delivery)
            self._pace.held(1, now)

    def _allow(self) -> None:
        """Let those begin whose turn has come, and reserve the next turn if there is none."""
        lanes = self._lanes
        lanes.allowed = 0
        if not lanes.withheld:
            return
        if self._turn is None:
            self._turn = self._pace.turn(self._now)
        if self._turn <= self._now:
            lanes.allowed = 1 + self._pace.ready(self._now)

    def _changed(self, webhook: int, known: _Webhook, taken: int, prompt: bool | None) -> None:
        if prompt is not known.prompt and prompt is not None:
            self._verdicts.note(webhook, prompt)
        busy, waiting = known.busy + taken, known.waiting
        room = max(0, known.most - busy)
        claimable = waiting if waiting < room else room
        look = known.probing and waiting == 1
        self._lanes.move(webhook, known, busy, claimable, prompt, backlog=waiting > self._per_webhook, look=look)
        if not waiting and not busy and webhook not in self._probes:
            del self._webhooks[webhook]
