from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from daemon.persistence import queries, searching
from daemon.persistence.commands import Claim, CreateTenant, CreateToken, Progress, Publish, RevokeToken
from daemon.persistence.searching import DeliveryFilter
from daemon.refusals import Conflict, Draining, NotFound, StorageUnavailable
from tests.storage.stores import PATIENCE, Locked, Store, new_event, running, succeeded

if TYPE_CHECKING:
    from pathlib import Path


async def test_commands_that_wait_together_share_commits_and_are_each_answered(store: Store) -> None:
    tenants = [await store.tenant(f"tenant-{n}") for n in range(20)]
    before = store.commits()
    answers: list[str] = []

    async def publish(n: int) -> None:
        (published,) = await store.publish(tenants[n])
        answers.append(published.id)

    async with trio.open_nursery() as nursery:
        for n in range(20):
            nursery.start_soon(publish, n)
    assert len(set(answers)) == 20
    assert 1 <= store.commits() - before <= 3


async def test_a_refused_command_spoils_none_of_its_batch(store: Store) -> None:
    refused: list[Conflict] = []

    async def create(id: str) -> None:
        try:
            await store.tenant(id)
        except Conflict as conflict:
            refused.append(conflict)

    async with trio.open_nursery() as nursery:
        for id in ("one", "two", "one", "three"):
            nursery.start_soon(create, id)
    assert len(refused) == 1
    assert {tenant.id for tenant in store.actor.registry.tenants} == {"one", "two", "three"}


async def test_a_command_cancelled_before_its_transaction_begins_is_never_carried_out(store: Store) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await store.tenant("cancelled")
    assert scope.cancelled_caught
    await store.tenant("later")
    found = await store.actor.read(queries.tenants, None, None)
    assert {tenant.id for tenant in found} == {"later"}


async def test_a_cancelled_command_has_been_carried_out_when_it_returns_or_never_will_be(store: Store) -> None:
    for steps in range(30):
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(store.tenant, f"cancelled-{steps}")
                for _ in range(steps):
                    await trio.lowlevel.checkpoint()
                scope.cancel()
        at_once = {tenant.id for tenant in await store.actor.read(queries.tenants, None, None)}
        await store.tenant(f"later-{steps}")
        after = {tenant.id for tenant in await store.actor.read(queries.tenants, None, None)}
        assert after == at_once | {f"later-{steps}"}


async def test_a_command_whose_patience_ends_before_it_begins_is_refused_and_never_carried_out(path: Path) -> None:
    async with running(path) as store:
        with Locked(path):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(store.actor.progress, Progress(0, [], [], []))
                await trio.testing.wait_all_tasks_blocked(0.01)
                with pytest.raises(StorageUnavailable):
                    await store.actor.execute(CreateTenant("late", None), 0.01)
                nursery.cancel_scope.cancel()
    async with running(path) as store:
        assert store.actor.registry.tenant_by_id("late") is None


async def test_a_failing_storage_refuses_publishing_keeps_outcomes_and_recovers_by_itself(path: Path) -> None:
    async with running(path) as store:
        acme = await store.tenant()
        webhook = await store.webhook(acme)
        await store.publish(acme)
        (one,) = await store.claim(webhook)
        recorded: list[frozenset[int]] = []

        async def record() -> None:
            recorded.append(await store.finish(webhook, succeeded(one)))

        async with trio.open_nursery() as nursery:
            with Locked(path):
                nursery.start_soon(record)
                while not store.actor.troubles():
                    await trio.lowlevel.checkpoint()
                with pytest.raises(StorageUnavailable, match="locked"):
                    await store.publish(acme)
                assert not recorded
        assert recorded == [frozenset({one.seq})]
        assert not store.actor.troubles()
        (published,) = await store.publish(acme)
        assert published.deliveries == 1


async def test_a_closing_store_carries_out_what_it_took_and_refuses_the_rest(store: Store) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.tenant, "taken")
        await trio.testing.wait_all_tasks_blocked()
        store.actor.close()
        with pytest.raises(Draining):
            await store.tenant("late")
    assert store.actor.registry.tenant_by_id("taken") is not None


async def test_tokens_count_from_the_moment_they_are_answered_and_a_revoked_one_no_more(store: Store) -> None:
    acme = await store.tenant()
    token = await store.actor.execute(CreateToken(acme.seq, "ci", ("publish_events",), None, b"d" * 32), PATIENCE)
    assert store.actor.registry.token(b"d" * 32) == token
    await store.actor.execute(RevokeToken(acme.seq, token.id), PATIENCE)
    assert store.actor.registry.token(b"d" * 32) is None
    with pytest.raises(NotFound):
        await store.actor.execute(RevokeToken(acme.seq, token.id), PATIENCE)


async def test_everything_accepted_is_found_again_after_a_restart(path: Path) -> None:
    async with running(path) as store:
        acme = await store.tenant()
        webhook = await store.webhook(acme)
        await store.actor.execute(CreateToken(acme.seq, None, ("publish_events",), None, b"d" * 32), PATIENCE)
        await store.publish(acme, 3)
    async with running(path) as store:
        assert store.actor.registry.tenant(acme.seq) == acme
        assert store.actor.registry.token(b"d" * 32) is not None
        assert store.actor.work() == {acme.seq: {webhook.seq: 3}}
        assert len(await store.claim(webhook)) == 3


async def test_a_flood_of_one_tenant_delays_another_tenants_command_by_one_transaction(store: Store) -> None:
    flooder, other = await store.tenant("flooder"), await store.tenant("other")
    await store.webhook(flooder)
    finished: list[str] = []

    async def publish(name: str, command: Publish) -> None:
        await store.actor.execute(command, 30)
        finished.append(name)

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(publish, "flood", Publish([new_event(flooder)] * 1000, batch=True))
        await trio.testing.wait_all_tasks_blocked(0.0)
        nursery.start_soon(publish, "other", Publish([new_event(other)], batch=True))
    assert finished.index("other") <= 2


async def test_large_publishes_that_always_wait_delay_a_publish_and_its_claim_by_one_of_them(store: Store) -> None:
    flooders, other = [await store.tenant(f"flooder-{n}") for n in range(3)], await store.tenant("other")
    for flooder in flooders:
        await store.webhook(flooder)
    webhook = await store.webhook(other)
    floods = 0

    async def flood(command: Publish) -> None:
        nonlocal floods
        while True:
            await store.actor.execute(command, 30)
            floods += 1

    async with trio.open_nursery() as nursery:
        for flooder in flooders:
            for _ in range(2):
                nursery.start_soon(flood, Publish([new_event(flooder)] * 1000, batch=True))
        for round in range(1, 4):
            while floods < 3 * round:
                await trio.lowlevel.checkpoint()
            before = floods
            await store.publish(other)
            assert len(await store.claim(webhook)) == 1
            assert floods - before <= 1
        nursery.cancel_scope.cancel()


async def test_a_page_of_deliveries_is_stable_while_rows_are_added(store: Store) -> None:
    acme = await store.tenant()
    await store.webhook(acme)
    await store.publish(acme, 4)
    first = (await store.actor.read(searching.deliveries, DeliveryFilter(tenant=acme.seq), 2, None)).rows
    await store.publish(acme, 3)
    second = (await store.actor.read(searching.deliveries, DeliveryFilter(tenant=acme.seq), 10, first[-1].seq)).rows
    assert len({delivery.id for delivery in first + second}) == 4


async def test_a_claim_for_a_webhook_that_is_unknown_or_empty_answers_nothing(store: Store) -> None:
    acme = await store.tenant()
    webhook = await store.webhook(acme)
    done = await store.actor.progress(Progress(acme.seq, [], [], [Claim(webhook.seq, 3), Claim(99, 3)]))
    assert (done.claimed, done.endpoints, done.recorded) == ([], {}, frozenset())
