"""The delivery actor of one tenant: claims its work, has it attempted, brings the outcomes back to the store."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import trio

from daemon.delivery.attempt import Attempt, Postponed
from daemon.delivery.backoff import Backoff
from daemon.delivery.beat import next_beat
from daemon.delivery.target import Target
from daemon.delivery.work import Work
from daemon.model import Finished
from daemon.persistence.commands import Claim, Progress, Progressed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from daemon.delivery.attempt import Transport
    from daemon.delivery.journal import Journal
    from daemon.delivery.pace import Pace
    from daemon.delivery.piggyback import Piggyback
    from daemon.delivery.pool import Pool
    from daemon.delivery.promptness import Verdicts
    from daemon.delivery.slots import Slots
    from daemon.model import Claimed, Endpoint, Outcome

IDLE = 1.0
"""Seconds without work after which an actor retires."""
GATHER = 0.002
"""Seconds that the attempts which end first wait for the others of a backlog, at most."""

BESIDE_OTHERS = 32
"""How many deliveries one step claims at most while other tenants deliver too. What is theirs waits for every
transaction and every turn that this one's work makes long: beside steps of 64 an event takes twice as long, smaller
ones would cost more than they spare. Where an fsync takes 10 ms it bounds the tenant to some 3,000 a second."""

_MOST = 3  # times as many as are still under way

_TARGETS = 256


class DeliveryStore(Protocol):
    """What delivery needs of persistence."""

    async def progress(self, command: Progress) -> Progressed:
        """Never refused; waits while storage is failing. Cancelled, the step may or may not be on disk."""
        ...


@dataclass(frozen=True, slots=True)
class Means:
    """What all tenant actors share. `give` returns slots of a tenant: `give(tenant, count)`."""

    store: DeliveryStore
    transport: Transport
    slots: Slots
    pool: Pool
    journal: Journal
    give: Callable[[int, int], None]
    verdicts: Verdicts
    pace: Pace
    piggyback: Piggyback
    timeout: float
    per_webhook: int
    per_tenant: int


class TenantActor:
    """Steps through `Progress` commands, one at a time: what has finished and the next claims travel together.

    Slots are held from before the claim until the response is in. A step carries every outcome there is, and nothing
    is claimed but by a step, so at most twice the tenant's slots of outcomes are ever unrecorded."""

    def __init__(self, tenant: int, means: Means) -> None:
        self._tenant = tenant
        self._means = means
        self._work = Work(means.per_webhook, means.per_tenant, means.verdicts, means.pace)
        self._targets: dict[int, Target] = {}
        self._backoff = Backoff()
        self._running = 0
        self._finished: list[tuple[Endpoint, Finished]] = []
        self._postponed: list[tuple[Endpoint, Claimed, Postponed]] = []
        self._draining = False
        self._pausing = False
        self._behind = False
        self._urgent = False
        self._portion = means.per_tenant
        # Around the last step that did nothing but claim: a failing store keeps it, and a stop has no use for it.
        self._claiming = trio.CancelScope()
        self._bell, self._ear = trio.open_memory_channel[None](1)
        self._rung = False

    @property
    def running(self) -> int:
        """How many attempts are under way."""
        return self._running

    def offer(self, work: Mapping[int, int]) -> None:
        """So many more deliveries wait, by webhook. Never blocks."""
        for webhook, count in work.items():
            self._work.add(webhook, count)
        self.ring()

    def ring(self) -> None:
        """Something changed: look again. The channel holds one call, which is enough for any number of them."""
        if not self._rung:
            self._rung = True
            self._bell.send_nowait(None)

    def hurry(self) -> None:
        """Others' steps are about to be committed: what waits for nothing else may go with them."""
        self._urgent = True
        self.ring()

    def drain(self) -> None:
        """Claim no more; `run` returns when all that is under way has ended and been recorded."""
        self._draining = True
        self._claiming.cancel()
        self.ring()

    async def run(self) -> None:
        """Work until there is nothing to do for a second, or until drained. Every attempt has then been recorded.

        Between the decision to retire and the return there is no checkpoint: whoever offers work sees an actor that
        still looks, or none. Cancelled, it leaves its claimed deliveries `sending` on disk and its outcomes unrecorded:
        the next start finds them `interrupted`."""
        while True:
            await self._gather()
            step, command = self._next_step()
            if command is not None:
                self._settle(step, await self._progress(command))
            elif not await self._rest():
                return

    def _next_step(self) -> tuple[_Step, Progress | None]:
        if self._finished or self._postponed:
            self._work.probe()
        step = _Step(self._claims(), self._finished, self._postponed)
        self._urgent = False
        if not (step.claims or step.finished or step.postponed):
            return step, None
        self._finished, self._postponed = [], []
        finished = [finished for _, finished in step.finished]
        postponed = [delivery for _, delivery, _ in step.postponed]
        return step, Progress(self._tenant, finished, postponed, step.claims)

    async def _progress(self, command: Progress) -> Progressed:
        store = self._means.store
        if command.finished or command.postponed:
            return await store.progress(command)
        with trio.CancelScope() as self._claiming:
            return await store.progress(command)
        return Progressed(frozenset(), frozenset(), [], {})

    def _look(self) -> float:
        now = trio.current_time()
        self._work.look(now, self._means.slots.share(now))
        return now

    def _claims(self) -> list[Claim]:
        slots, tenant = self._means.slots, self._tenant
        now = self._look()
        self._pausing = now < self._backoff.until
        self._portion = self._means.per_tenant if slots.alone(tenant) else BESIDE_OTHERS
        wanted = 0 if self._draining or self._pausing else min(self._work.claimable, self._portion)
        held = slots.collect(tenant)
        held += slots.ask(tenant, max(0, wanted - held))
        if held > wanted:
            self._means.give(tenant, held - wanted)
        return self._work.plan(min(held, wanted))

    def _settle(self, step: _Step, progressed: Progressed) -> None:
        got = Counter(delivery.webhook for delivery in progressed.claimed)
        self._behind = self._work.behind and all(got[claim.webhook] == claim.limit for claim in step.claims)
        unused = 0
        for claim in step.claims:
            self._work.settle(claim, got[claim.webhook], progressed.bounds.get(claim.webhook))
            unused += claim.limit - got[claim.webhook]
        if unused:
            self._means.give(self._tenant, unused)
        targets = {seq: self._prepared(endpoint) for seq, endpoint in progressed.endpoints.items()}
        now = trio.current_time()
        for delivery in progressed.claimed:
            self._begin(delivery, targets[delivery.webhook], now)
        for endpoint, delivery, postponed in step.postponed:
            if delivery.seq not in progressed.postponed:
                continue
            self._work.add(delivery.webhook, 1)
            self._means.journal.postponed(delivery, endpoint, postponed.detail)
        for endpoint, finished in step.finished:
            if finished.delivery.seq in progressed.recorded:
                self._means.journal.recorded(finished.delivery, endpoint, finished.outcome)

    def _prepared(self, endpoint: Endpoint) -> Target:
        known = self._targets.get(endpoint.seq)
        if known is not None and known.endpoint == endpoint:
            return known
        if known is None and len(self._targets) >= _TARGETS:
            # Webhooks come and go while a busy actor lives for ever; it is cheap to prepare the rest again.
            del self._targets[next(iter(self._targets))]
        target = self._targets[endpoint.seq] = Target(endpoint)
        return target

    def _begin(self, delivery: Claimed, target: Target, now: float) -> None:
        self._running += 1
        self._work.begin(delivery.webhook, delivery.seq, now)
        means = self._means
        deadline = now + (target.endpoint.timeout or means.timeout)
        attempt = Attempt(delivery, target, means.transport, means.pool, deadline, self._ended)
        if self._draining:
            attempt.cut()
        else:
            attempt.begin()

    def _ended(self, attempt: Attempt, result: Outcome | Postponed) -> None:
        self._running -= 1
        now, delivery, endpoint = trio.current_time(), attempt.delivery, attempt.target.endpoint
        attempted = not isinstance(result, Postponed)
        if attempted:
            self._finished.append((endpoint, Finished(delivery, result)))
        else:
            self._postponed.append((endpoint, delivery, result))
            self._backoff.fault(now)
        prompt = self._work.end(delivery.webhook, delivery.seq, now, attempted=attempted)
        self._urgent = self._urgent or prompt or not attempted
        self._means.give(self._tenant, 1)
        self.ring()

    async def _gather(self) -> None:
        """Wait a moment where that costs nobody anything: fewer commits then carry as many deliveries."""
        await self._wait_while(self._may_gather, trio.current_time() + GATHER)
        if self._urgent or self._draining:
            return
        self._look()
        if self._may_linger():
            with self._means.piggyback.waiting(self):
                await self._wait_while(self._may_linger, next_beat(trio.current_time()))

    async def _wait_while(self, may: Callable[[], bool], until: float) -> None:
        if may():
            with trio.move_on_at(until):
                while may():
                    self._hush()
                    await self._hear()

    def _may_gather(self) -> bool:
        """Under a backlog: whether all that could be claimed now is what waits for the slots of the attempts that have
        just ended."""
        ended = len(self._finished)
        if not (ended and self._behind) or self._draining or ended >= min(self._portion, _MOST * self._running):
            return False
        wanted = self._work.claimable + self._work.withheld
        return min(wanted, self._means.per_tenant - self._running) <= ended

    def _may_linger(self) -> bool:
        """Whether there is nothing but outcomes of slow attempts, and turns of slow webhooks: whoever has waited for
        those for so long can wait for a commit that is made anyway, or for the next beat, when all tenants' go
        together."""
        if self._urgent or self._draining or self._work.pressing or self._means.slots.handed(self._tenant):
            return False
        return bool(self._finished or (self._work.claimable and not self._pausing))

    def _hush(self) -> None:
        """What the bell has called for has been looked at."""
        if self._rung:
            self._ear.receive_nowait()
            self._rung = False

    async def _hear(self) -> None:
        await self._ear.receive()
        self._rung = False

    async def _rest(self) -> bool:
        """Wait until there may be something to do; False if it is time to go."""
        if self._draining and not self._running:
            return False
        self._hush()
        # That a turn came or the pause ended since the claims were decided on is news, and must not be slept through.
        until = self._work.turn
        if self._pausing and self._work.claimable and not self._draining:
            until = min(until, self._backoff.until)
        elif not len(self._work):
            until = trio.current_time() + IDLE
        with trio.move_on_at(until):
            await self._hear()
            return True
        return len(self._work) > 0


@dataclass(frozen=True, slots=True)
class _Step:
    claims: list[Claim]
    finished: list[tuple[Endpoint, Finished]]
    postponed: list[tuple[Endpoint, Claimed, Postponed]]
