"""Owns the tenant actors: makes one when its tenant has work, lets it go when it has none, and shares out the slots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from daemon.delivery.journal import Counters, Journal
from daemon.delivery.pace import Pace
from daemon.delivery.piggyback import Piggyback
from daemon.delivery.pool import Pool
from daemon.delivery.promptness import Verdicts
from daemon.delivery.slots import Slots
from daemon.delivery.tenant import DeliveryStore, Means, TenantActor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trio import TaskStatus

    from daemon.delivery.attempt import Transport
    from daemon.settings import DeliverySettings


class Router:
    """Brings what the store holds pending to its webhooks, one attempt each, until it is drained."""

    def __init__(
        self,
        store: DeliveryStore,
        transport: Transport,
        settings: DeliverySettings,
        counters: Counters,
    ) -> None:
        self._pool = Pool()
        self._piggyback = Piggyback()
        self._slots = Slots(settings.max_concurrent, settings.max_concurrent_per_tenant)
        self._means = Means(
            store=store,
            transport=transport,
            slots=self._slots,
            pool=self._pool,
            journal=Journal(counters),
            give=self._give,
            verdicts=Verdicts(),
            pace=Pace(settings.max_concurrent),
            piggyback=self._piggyback,
            timeout=settings.timeout,
            per_webhook=settings.max_concurrent_per_webhook,
            per_tenant=settings.max_concurrent_per_tenant,
        )
        self._actors: dict[int, TenantActor] = {}
        self._nursery: trio.Nursery | None = None
        self._draining = trio.Event()

    @property
    def in_flight(self) -> int:
        """How many attempts are under way."""
        return self._pool.busy

    def in_flight_by_tenant(self) -> dict[int, int]:
        """Whose they are, by the tenants' seqs; those without any are left out."""
        return {tenant: actor.running for tenant, actor in self._actors.items() if actor.running}

    @property
    def actors(self) -> int:
        """How many tenants have an actor."""
        return len(self._actors)

    def offer(self, work: Mapping[int, Mapping[int, int]]) -> None:
        """Say what has become pending: tenant → webhook → how many more. Never blocks; also before `run`.

        While draining it is ignored: the disk remembers."""
        if self._draining.is_set():
            return
        for tenant, webhooks in work.items():
            actor = self._actors.get(tenant)
            if actor is None:
                actor = self._actors[tenant] = TenantActor(tenant, self._means)
                if self._nursery is not None:
                    self._nursery.start_soon(self._live, tenant, actor)
            actor.offer(webhooks)

    def expect(self, work: Mapping[int, Mapping[int, int]]) -> None:
        """What is about to become pending, unless it is not: an offer made early, to webhooks that are prompt; others
        have a pace to keep and would lose a turn to what does not come."""
        verdict = self._means.verdicts.of
        for tenant, hinted in work.items():
            prompt = {webhook: count for webhook, count in hinted.items() if verdict(webhook)}
            if prompt:
                self.offer({tenant: prompt})

    def board(self) -> bool:
        """A commit is about to be made that nobody is in a hurry for. Whether there are steps that will come along, by
        the turn of the loop after the next."""
        return self._piggyback.call()

    def drain(self, deadline: float) -> None:
        """Claim no more from now on. Attempts may end until `deadline` (trio's clock); then those that wrote nothing
        go back to pending, the others are recorded as interrupted, and `run` returns."""
        self._pool.end_by(deadline)
        self._draining.set()
        for actor in self._actors.values():
            actor.drain()

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Deliver until drained and every outcome is recorded, however long the store takes to do so.

        A bug in an actor comes out of here. Cancelled, it records nothing more: what is under way stays `sending` on
        disk, and the next start makes it `interrupted`."""
        async with trio.open_nursery() as attempts:
            await attempts.start(self._pool.run)
            async with trio.open_nursery() as self._nursery:
                for tenant, actor in self._actors.items():
                    self._nursery.start_soon(self._live, tenant, actor)
                task_status.started()
                await self._draining.wait()
            self._pool.close()

    async def _live(self, tenant: int, actor: TenantActor) -> None:
        await actor.run()
        del self._actors[tenant]

    def _give(self, tenant: int, count: int) -> None:
        for lucky in self._slots.give(tenant, count):
            self._actors[lucky].ring()
