"""A publish that makes very many deliveries: they are made a few at a time, and all of them, whatever comes between."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import trio

from daemon.persistence import fan_out, recovery, searching
from daemon.persistence.backlog import Backlog
from daemon.persistence.clock_steps import ClockSteps
from daemon.persistence.commands import Begun, FanOut, Publish, RemoveTenant, UpdateTenant, UpdateWebhook
from daemon.persistence.database import open_writer
from daemon.persistence.execution import execute
from daemon.persistence.searching import DeliveryFilter
from daemon.refusals import BacklogFull, OutcomeUnknown
from daemon.settings import Limits
from tests.storage.stores import PATIENCE, Locked, Store, new_event, running

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from daemon.model import Tenant, Webhook
    from daemon.persistence.commands import Published

EVENTS = 400
WEBHOOKS = 10


def made(path: Path) -> list[tuple[int, int]]:
    """Event and webhook of each delivery on disk, in the order of their numbers."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return db.execute("SELECT event, webhook FROM deliveries ORDER BY seq").fetchall()


async def webhooks(store: Store, tenant: Tenant) -> list[Webhook]:
    return [await store.webhook(tenant) for _ in range(WEBHOOKS)]


class Amid:
    """A large publish of `tenant` that has made some of its deliveries, and not all, when the block begins; the end of
    the block waits for its answer."""

    def __init__(self, store: Store, path: Path, tenant: Tenant) -> None:
        self._store, self._path, self._tenant = store, path, tenant
        self.answer: list[Published] = []
        self._nursery = trio.open_nursery()

    async def __aenter__(self) -> Amid:
        (await self._nursery.__aenter__()).start_soon(self._publish)
        before = len(made(self._path))
        while len(made(self._path)) == before:
            await trio.lowlevel.checkpoint()
        assert len(made(self._path)) < before + EVENTS * WEBHOOKS
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._nursery.__aexit__(*error)  # pyright: ignore[reportArgumentType]

    async def _publish(self) -> None:
        self.answer = await self._store.publish(self._tenant, EVENTS)


async def test_it_is_answered_when_every_delivery_is_on_disk_once_in_the_order_of_its_events(
    store: Store, path: Path
) -> None:
    acme = await store.tenant()
    hooks = await webhooks(store, acme)
    published = await store.publish(acme, EVENTS)
    assert [one.deliveries for one in published] == [WEBHOOKS] * EVENTS
    pairs = made(path)
    first = pairs[0][0]
    assert sorted(pairs) == [(first + event, hook.seq) for event in range(EVENTS) for hook in hooks]
    assert [event for event, _ in pairs] == sorted(event for event, _ in pairs)
    assert store.actor.waits.total() == EVENTS * WEBHOOKS
    offered = [offer[acme.seq][hooks[0].seq] for offer in store.offers]
    assert sum(offered) == EVENTS
    assert len(offered) > 1, "the first can be sent while the last are made"


async def test_another_tenants_publish_does_not_wait_for_it(store: Store, path: Path) -> None:
    acme, other = await store.tenant("acme"), await store.tenant("other")
    await webhooks(store, acme)
    await store.webhook(other)
    async with Amid(store, path, acme) as publish:
        await store.publish(other)
        assert not publish.answer
    assert len(publish.answer) == EVENTS
    assert len(made(path)) == EVENTS * WEBHOOKS + 1


async def test_two_tenants_take_turns_and_each_is_complete(store: Store, path: Path) -> None:
    acme, other = await store.tenant("acme"), await store.tenant("other")
    hooks = [*await webhooks(store, acme), *await webhooks(store, other)]
    async with Amid(store, path, acme), Amid(store, path, other):
        pass
    pairs = made(path)
    assert len(set(pairs)) == len(pairs) == 2 * EVENTS * WEBHOOKS
    assert store.actor.work() == {
        tenant.seq: {hook.seq: EVENTS for hook in hooks if hook.tenant == tenant.seq} for tenant in (acme, other)
    }


async def test_what_a_crash_leaves_is_made_by_the_next_start_before_later_deliveries(
    store: Store, path: Path, tmp_path: Path
) -> None:
    acme, other = await store.tenant("acme"), await store.tenant("other")
    hooks = await webhooks(store, acme)
    last = await store.webhook(other)
    crashed = tmp_path / "crashed.db"
    async with Amid(store, path, acme):
        await store.publish(other)
        for suffix in ("", "-wal"):
            shutil.copy(path.with_name(path.name + suffix), crashed.with_name(crashed.name + suffix))
    assert 0 < len(made(crashed)) < EVENTS * WEBHOOKS
    with closing(open_writer(crashed)) as db:
        recovery.recover(db, 1)
    pairs = made(crashed)
    assert len(pairs) == EVENTS * WEBHOOKS + 1
    assert len(set(pairs)) == len(pairs)
    assert pairs[-1][1] == last.seq, "it was accepted later"
    async with running(crashed) as restarted:
        assert restarted.actor.work() == {acme.seq: {hook.seq: EVENTS for hook in hooks}, other.seq: {last.seq: 1}}


async def test_a_deactivation_amid_cancels_what_is_made_later_too_also_if_it_is_revived(
    store: Store, path: Path
) -> None:
    acme = await store.tenant()
    hooks = await webhooks(store, acme)
    async with Amid(store, path, acme) as publish:
        for active in (False, True):
            await store.actor.execute(UpdateWebhook(None, hooks[0].id, active=active), PATIENCE)
        assert not publish.answer
    assert store.actor.work() == {acme.seq: {hook.seq: EVENTS for hook in hooks[1:]}}
    assert await store.claim(hooks[0]) == []
    found = (await store.actor.read(searching.deliveries, DeliveryFilter(webhook=hooks[0].seq), 1000, None)).rows
    assert {delivery.status for delivery in found} == {"cancelled"}
    await store.publish(acme)
    assert len(await store.claim(hooks[0])) == 1


async def test_a_storage_that_fails_amid_delays_it_and_loses_and_doubles_nothing(store: Store, path: Path) -> None:
    acme = await store.tenant()
    await webhooks(store, acme)
    async with Amid(store, path, acme) as publish:
        with Locked(path):
            while not store.actor.troubles():
                await trio.lowlevel.checkpoint()
            assert not publish.answer
    assert len(publish.answer) == EVENTS
    assert len(set(made(path))) == len(made(path)) == EVENTS * WEBHOOKS


async def test_a_store_that_closes_amid_completes_it(path: Path) -> None:
    async with running(path) as store:
        acme = await store.tenant()
        await webhooks(store, acme)
        async with Amid(store, path, acme) as publish:
            store.actor.close()
    assert len(publish.answer) == EVENTS
    assert len(made(path)) == EVENTS * WEBHOOKS


async def test_a_store_that_closes_amid_while_its_storage_fails_leaves_the_rest_to_the_next_start(path: Path) -> None:
    async with running(path) as store:
        acme = await store.tenant()
        hooks = await webhooks(store, acme)
        with pytest.RaisesGroup(OutcomeUnknown):
            async with Amid(store, path, acme):
                with Locked(path):
                    while not store.actor.troubles():
                        await trio.lowlevel.checkpoint()
                    store.actor.close()
                    await store.ended.wait()
    with closing(open_writer(path)) as db:
        recovery.recover(db, 1)
    async with running(path) as restarted:
        assert restarted.actor.work() == {acme.seq: {hook.seq: EVENTS for hook in hooks}}


async def test_one_whose_publisher_has_gone_is_completed(store: Store, path: Path) -> None:
    acme = await store.tenant()
    await webhooks(store, acme)
    with trio.CancelScope() as scope:
        async with Amid(store, path, acme):
            scope.cancel()
    await store.publish(acme)
    assert len(made(path)) == (EVENTS + 1) * WEBHOOKS


async def test_the_tenants_next_publish_finds_all_of_it_waiting(path: Path) -> None:
    async with running(path, Limits(waiting_per_tenant=EVENTS * WEBHOOKS)) as store:
        acme = await store.tenant()
        await webhooks(store, acme)
        async with Amid(store, path, acme):
            with pytest.raises(BacklogFull, match=str(EVENTS * WEBHOOKS)):
                await store.publish(acme)


async def test_publishes_at_once_pass_the_tenants_limit_no_more_than_one_after_another(path: Path) -> None:
    async with running(path, Limits(waiting_per_tenant=EVENTS * WEBHOOKS)) as store:
        acme = await store.tenant()
        hooks = await webhooks(store, acme)
        await store.publish(acme)
        refused: list[BacklogFull] = []

        async def publish() -> None:
            try:
                await store.publish(acme, 60)
            except BacklogFull as full:
                refused.append(full)

        async with trio.open_nursery() as nursery:
            for _ in range(40):
                nursery.start_soon(publish)
        fit = (EVENTS - 1) // 60
        assert len(refused) == 40 - fit
        assert store.actor.work() == {acme.seq: {hook.seq: 1 + 60 * fit for hook in hooks}}
        await store.claim(hooks[0])
        await store.publish(acme, 10)


async def test_what_is_made_for_a_deactivated_webhook_counts_towards_the_limit_no_longer(path: Path) -> None:
    async with running(path, Limits(waiting_per_tenant=EVENTS * WEBHOOKS)) as store:
        acme = await store.tenant()
        hooks = await webhooks(store, acme)
        async with Amid(store, path, acme):
            for hook in hooks:
                await store.actor.execute(UpdateWebhook(None, hook.id, active=False), PATIENCE)
        assert store.actor.waits.total() == 0
        for hook in hooks:
            await store.actor.execute(UpdateWebhook(None, hook.id, active=True), PATIENCE)
        await store.publish(acme, EVENTS)


async def test_a_batch_of_several_tenants_and_small_publishes_beside_it_go_where_they_belong(
    store: Store, path: Path
) -> None:
    acme, other = await store.tenant("acme"), await store.tenant("other")
    hooks = await webhooks(store, acme)
    lone = await store.webhook(other)
    mixed = Publish([new_event(tenant) for tenant in (acme, other) * (EVENTS // 2)], batch=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.actor.execute, mixed, PATIENCE)
        nursery.start_soon(store.publish, other)
    assert store.actor.work() == {
        acme.seq: {hook.seq: EVENTS // 2 for hook in hooks},
        other.seq: {lone.seq: EVENTS // 2 + 1},
    }
    assert len(set(made(path))) == EVENTS // 2 * (WEBHOOKS + 1) + 1


async def test_nothing_more_is_made_for_a_tenant_that_has_been_removed(path: Path) -> None:
    async with running(path) as store:
        acme = await store.tenant()
        await webhooks(store, acme)
    with closing(open_writer(path)) as db:
        publish = Publish([new_event(acme)] * EVENTS, batch=True)
        (begun,) = answers(db, publish)
        assert isinstance(begun, Begun)
        assert answers(db, FanOut(begun.fan_out)) == [False]
        before = len(made(path))
        answers(db, UpdateTenant(acme.seq, active=False))
        answers(db, RemoveTenant(acme.seq))
        while answers(db, FanOut(begun.fan_out)) == [False]:
            pass
        assert len(made(path)) == before == fan_out.AT_ONCE
        assert db.execute("SELECT count(*) FROM fan_outs").fetchone() == (0,)


def answers(db: sqlite3.Connection, *commands: Publish | FanOut | UpdateTenant | RemoveTenant) -> Sequence[object]:
    return execute(db, commands, 1000, Limits(), Backlog(), ClockSteps(db)).answers
