"""An event is stored and claimed in one commit when its claim was foreseen; a wrong guess costs nobody a delivery."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from daemon.persistence.commands import (
    Claim,
    DeleteWebhook,
    NewEvent,
    Progress,
    Progressed,
    Publish,
    Published,
    Redeliver,
)
from daemon.refusals import IdempotencyConflict, NotFinished
from tests.storage.stores import PATIENCE, Locked, Store, new_event, running, succeeded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from daemon.model import Claimed, Tenant, Webhook


class _Listening(Store):
    """A store whose expectations are kept, and claimed at once, as a tenant's actor does, if `claims` is set."""

    claims = False
    claiming = 0
    boarded = 0
    along: tuple[Webhook, Claimed] | None = None
    _stepping = False

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        self.expected: list[dict[int, dict[int, int]]] = []
        self.progressed: list[Progressed] = []
        self._later: list[tuple[int, Mapping[int, int]]] = []
        async with trio.open_nursery() as self._nursery:
            await self.actor.run(self, task_status=task_status)
        self.ended.set()

    async def claimed(self) -> list[Claimed]:
        """All that was, once each claim is answered."""
        while len(self.progressed) < self.claiming:
            await trio.lowlevel.checkpoint()
        return [delivery for progressed in self.progressed for delivery in progressed.claimed]

    def board(self) -> bool:
        self.boarded += 1
        if self.along is None:
            return False
        (webhook, delivery), self.along = self.along, None
        self._nursery.start_soon(self.finish, webhook, succeeded(delivery))
        return True

    async def step(self, webhook: Webhook) -> None:
        """A step of the actor's: what is expected meanwhile it asks for in the next one."""
        self._stepping = True
        await self.finish(webhook)
        self._stepping = False
        for tenant, webhooks in self._later:
            await self._claim(tenant, webhooks)
        self._later.clear()

    def expect(self, work: Mapping[int, Mapping[int, int]]) -> None:
        self.expected.append({tenant: dict(webhooks) for tenant, webhooks in work.items()})
        if self.claims:
            self.claiming += len(work)
            for tenant, webhooks in work.items():
                if self._stepping:
                    self._later.append((tenant, webhooks))
                    continue
                self._nursery.start_soon(self._claim, tenant, webhooks)

    async def _claim(self, tenant: int, webhooks: Mapping[int, int]) -> None:
        claims = [Claim(webhook, count) for webhook, count in webhooks.items()]
        self.progressed.append(await self.actor.progress(Progress(tenant, [], [], claims)))


@pytest.fixture
async def store(path: Path) -> AsyncIterator[_Listening]:
    async with running(path, kind=_Listening) as running_store:
        assert isinstance(running_store, _Listening)
        yield running_store


async def _deliver(store: Store, webhook: Webhook) -> None:
    """All that waits for the webhook."""
    await store.finish(webhook, *[succeeded(one) for one in await store.claim(webhook)])


async def _together(
    store: _Listening, tenant: Tenant, webhook: Webhook, limit: int, *events: NewEvent
) -> tuple[Progressed, list[Published]]:
    """A publish and a claim that reach the writer in one turn: in one transaction."""
    answers: list[object] = []
    before = store.commits()

    async def claim() -> None:
        answers.insert(0, await store.actor.progress(Progress(tenant.seq, [], [], [Claim(webhook.seq, limit)])))

    async def publish() -> None:
        answers.append(await store.actor.execute(Publish(list(events) or [new_event(tenant)], batch=True), PATIENCE))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(claim)
        nursery.start_soon(publish)
    assert store.commits() == before + 1
    progressed, published = answers if isinstance(answers[0], Progressed) else reversed(answers)
    assert isinstance(progressed, Progressed)
    assert isinstance(published, list)
    return progressed, published


async def test_the_second_event_of_its_type_is_stored_and_claimed_in_one_commit(store: _Listening) -> None:
    acme = await store.tenant()
    webhook = await store.webhook(acme)
    await store.publish(acme)
    assert store.expected == []
    await _deliver(store, webhook)
    store.claims = True
    store.offers.clear()
    before = store.commits()
    (published,) = await store.publish(acme)
    assert store.commits() == before + 1
    assert store.expected == [{acme.seq: {webhook.seq: 1}}]
    assert [delivery.event for delivery in await store.claimed()] == [published.id]
    assert store.offers == []
    assert store.actor.waits.total() == 0


async def test_what_was_not_claimed_with_its_publish_is_offered(store: _Listening) -> None:
    acme = await store.tenant()
    webhook = await store.webhook(acme)
    store.offers.clear()
    progressed, published = await _together(store, acme, webhook, 2, *[new_event(acme) for _ in range(5)])
    assert [delivery.event for delivery in progressed.claimed] == [event.id for event in published[:2]]
    assert store.offers == [{acme.seq: {webhook.seq: 3}}]
    assert store.actor.waits.total() == 3


async def test_what_is_published_while_older_deliveries_are_claimed_is_offered(store: _Listening) -> None:
    acme = await store.tenant()
    webhook = await store.webhook(acme)
    (older,) = await store.publish(acme)
    store.offers.clear()
    progressed, _ = await _together(store, acme, webhook, 1)
    assert [delivery.event for delivery in progressed.claimed] == [older.id]
    assert store.offers == [{acme.seq: {webhook.seq: 1}}]


async def test_of_several_webhooks_those_that_nobody_claimed_for_are_offered(store: _Listening) -> None:
    acme = await store.tenant()
    one, other = await store.webhook(acme), await store.webhook(acme)
    store.offers.clear()
    progressed, _ = await _together(store, acme, one, 1)
    assert [delivery.webhook for delivery in progressed.claimed] == [one.seq]
    assert store.offers == [{acme.seq: {other.seq: 1}}]


async def test_an_expected_event_that_is_refused_costs_the_next_one_nothing(store: _Listening) -> None:
    acme = await store.tenant()
    webhook = await store.webhook(acme)
    await store.publish(acme, key="key", content=b"first")
    await _deliver(store, webhook)
    store.claims = True
    with pytest.raises(IdempotencyConflict):
        await store.publish(acme, key="key", content=b"other")
    assert await store.claimed() == []
    assert store.claiming == 1
    store.claims = False
    store.offers.clear()
    await store.publish(acme)
    assert store.offers == [{acme.seq: {webhook.seq: 1}}]


async def test_an_expectation_that_no_longer_holds_claims_nothing(store: _Listening) -> None:
    acme = await store.tenant()
    webhook, other = await store.webhook(acme), await store.webhook(acme)
    await store.publish(acme)
    for each in (webhook, other):
        await _deliver(store, each)
    await store.actor.execute(DeleteWebhook(None, webhook.id), PATIENCE)
    store.claims = True
    await store.publish(acme)
    assert store.expected == [{acme.seq: {webhook.seq: 1, other.seq: 1}}]
    assert [delivery.webhook for delivery in await store.claimed()] == [other.seq]
    await store.finish(other, *[succeeded(one) for one in await store.claimed()])
    await store.publish(acme)
    assert store.expected[-1] == {acme.seq: {other.seq: 1}}


async def test_nothing_is_expected_for_a_webhook_with_a_backlog_nor_of_a_large_publish(store: _Listening) -> None:
    acme = await store.tenant()
    one, other = await store.webhook(acme), await store.webhook(acme)
    await store.publish(acme)
    await _deliver(store, one)
    await store.publish(acme)
    assert store.expected == [{acme.seq: {one.seq: 1}}]
    await _deliver(store, one)
    await store.publish(acme, 17)
    assert store.expected == [{acme.seq: {one.seq: 1}}]
    assert store.actor.waits.total() == 2 + 17 + 17
    assert len(await store.claim(other)) == 19


async def test_while_the_storage_fails_nothing_is_expected(path: Path, store: _Listening) -> None:
    acme = await store.tenant()
    webhook = await store.webhook(acme)
    await store.publish(acme)
    await _deliver(store, webhook)
    with Locked(path):
        while not store.actor.troubles():
            with pytest.raises(Exception, match=r"[Nn]othing was stored"):
                await store.publish(acme)
        known = len(store.expected)
        with pytest.raises(Exception, match=r"[Nn]othing was stored"):
            await store.publish(acme)
        assert len(store.expected) == known


async def test_an_outcome_is_recorded_after_what_was_asked_beside_it(store: _Listening) -> None:
    """A redelivery asked for before the outcome was on disk is refused, as it is when they do not share a commit."""
    acme = await store.tenant()
    webhook = await store.webhook(acme)
    await store.publish(acme)
    (one,) = await store.claim(webhook)
    before = store.commits()

    async def redeliver() -> None:
        with pytest.raises(NotFinished):
            await store.actor.execute(Redeliver(acme.seq, one.id), PATIENCE)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(redeliver)
        nursery.start_soon(store.finish, webhook, succeeded(one))
    assert store.commits() == before + 1
    await store.actor.execute(Redeliver(acme.seq, one.id), PATIENCE)


async def test_only_a_commit_of_outcomes_takes_along_what_can_wait(store: _Listening) -> None:
    """A publish, and the claim of what nobody foresaw, are waited for."""
    acme = await store.tenant()
    webhook = await store.webhook(acme)
    await store.publish(acme, 3)
    (one,) = await store.claim(webhook, 1)
    assert store.boarded == 0
    await store.finish(webhook, succeeded(one))
    assert store.boarded == 1
    (other,) = await store.claim(webhook, 1)

    async def publish() -> None:
        await store.publish(acme)

    before = store.commits()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.finish, webhook, succeeded(other))
        nursery.start_soon(publish)
    assert store.commits() == before + 1
    assert store.boarded == 1


async def test_what_comes_along_is_in_the_very_commit_that_it_was_called_for(store: _Listening) -> None:
    acme = await store.tenant()
    webhook = await store.webhook(acme)
    await store.publish(acme, 40)
    claimed = iter(await store.claim(webhook))
    for one in claimed:
        before = store.commits()
        store.along = webhook, next(claimed)
        assert await store.finish(webhook, succeeded(one)) == {one.seq}
        assert store.commits() == before + 1
        await store.tenant(f"later-{one.seq}")
        assert store.commits() == before + 2


async def test_a_claim_foreseen_while_its_actor_takes_a_step_is_in_the_commit_of_its_event(store: _Listening) -> None:
    acme = await store.tenant()
    webhook = await store.webhook(acme)
    await store.publish(acme)
    await _deliver(store, webhook)
    store.claims = True
    for _ in range(20):
        before = store.commits()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.step, webhook)
            while not store.actor._writer.busy:
                await trio.lowlevel.checkpoint()
            nursery.start_soon(store.publish, acme)
        claimed = await store.claimed()
        assert len(claimed) == store.claiming
        assert store.commits() == before + 2
        await store.finish(webhook, succeeded(claimed[-1]))
