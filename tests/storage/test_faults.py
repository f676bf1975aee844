"""The disk hangs, fails or loses its file; an actor has a bug; those who wait are gone."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, cast

import pytest
import trio
import trio.testing

from daemon.persistence import queries, searching, writer
from daemon.persistence.commands import Claim, CreateTenant, Progress
from daemon.persistence.searching import DeliveryFilter
from daemon.persistence.writer import StorageStuck
from daemon.refusals import OutcomeUnknown, StorageUnavailable
from tests.storage.stores import PATIENCE, Locked, Store, running, succeeded

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.model import Finished, Status


async def create(store: Store, id: str, ends: list[str]) -> None:
    try:
        await store.tenant(id)
        ends.append("stored")
    except OutcomeUnknown:
        ends.append("unknown")


async def count(store: Store, status: Status) -> int:
    return len((await store.actor.read(searching.deliveries, DeliveryFilter(status=status), 1000, None)).rows)


async def test_a_transaction_that_does_not_end_ends_the_actor_and_is_not_run_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_BOUND", 0.2)
    ends: list[str] = []

    async def on_a_hanging_disk() -> None:
        async with running(path) as store:
            with trio.fail_after(0.9), Locked(path):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(create, store, "one", ends)
                    nursery.start_soon(create, store, "two", ends)

    with pytest.raises(ExceptionGroup) as raised:
        await on_a_hanging_disk()
    assert raised.group_contains(StorageStuck)
    assert ends == ["unknown", "unknown"]
    async with running(path) as store:
        names = [tenant.id for tenant in await store.actor.read(queries.tenants, None, None)]
    assert len(names) == len(set(names))


async def test_a_disk_that_does_not_answer_does_not_hold_up_a_stop(path: Path) -> None:
    ends: list[str] = []

    async def stopped_on_a_hanging_disk() -> None:
        async with running(path) as store:
            with trio.fail_after(0.9), Locked(path):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(create, store, "one", ends)
                    while not store.actor._under_way:
                        await trio.lowlevel.checkpoint()
                    store.actor.stop_by(trio.current_time() + 0.2)
                    store.actor.close()

    with pytest.raises(ExceptionGroup) as raised:
        await stopped_on_a_hanging_disk()
    assert raised.group_contains(StorageStuck)
    assert ends == ["unknown"]


async def test_a_stop_that_runs_out_of_time_still_closes_the_file_and_is_no_bug(path: Path) -> None:
    with trio.CancelScope() as scope:
        async with running(path) as store:
            acme = await store.tenant()
            webhook = await store.webhook(acme)
            await store.publish(acme)
            (one,) = await store.claim(webhook)
            with Locked(path):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(store.finish, webhook, succeeded(one))
                    while not store.actor.troubles() or store.actor._writer.busy:
                        await trio.lowlevel.checkpoint()
                    store.actor.close()
                    store.actor.stop_by(trio.current_time())
                    scope.cancel()
    assert scope.cancelled_caught
    assert not path.with_name(path.name + "-wal").exists()


async def test_a_bug_in_an_actors_step_ends_the_store_and_nobody_waits_for_it(path: Path) -> None:
    nonsense = Progress(1, [cast("Finished", object())], [], [])
    ends: list[str] = []

    async def beside_a_bug() -> None:
        async with running(path) as store:
            with trio.fail_after(2):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(store.actor.progress, nonsense)
                    nursery.start_soon(create, store, "innocent", ends)

    with pytest.raises(ExceptionGroup) as raised:
        await beside_a_bug()
    assert raised.group_contains(AttributeError)
    assert ends == ["unknown"]


async def test_a_claim_whose_actor_is_gone_leaves_its_deliveries_pending(store: Store) -> None:
    acme = await store.tenant()
    webhook = await store.webhook(acme)
    await store.publish(acme, 3)
    for borrowed in (False, True):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.actor.progress, Progress(acme.seq, [], [], [Claim(webhook.seq, 2)]))
            while borrowed and not store.actor._writer.busy:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        await store.tenant(f"later-{borrowed}")
        await store.tenant(f"still-later-{borrowed}")
        assert await count(store, "pending") == store.actor.waits.total() == 3
    assert len(await store.claim(webhook)) == 3


@pytest.mark.parametrize("ending", ["", "-wal"])
async def test_nothing_is_accepted_into_a_file_that_is_no_longer_there(path: Path, ending: str) -> None:
    async with running(path) as store:
        acme = await store.tenant()
        webhook = await store.webhook(acme)
        await store.publish(acme)
        (one,) = await store.claim(webhook)
        file, elsewhere = path.with_name(path.name + ending), path.with_name("elsewhere")
        file.rename(elsewhere)
        with pytest.raises(StorageUnavailable, match="deleted, moved or replaced"):
            await store.publish(acme)
        assert "storage" in store.actor.troubles()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.finish, webhook, succeeded(one))
            await trio.testing.wait_all_tasks_blocked()
            elsewhere.rename(file)
        (published,) = await store.publish(acme)
        assert published.deliveries == 1
        assert await count(store, "succeeded") == 1


async def test_a_store_that_fails_with_nothing_to_lose_closes_at_once(path: Path) -> None:
    with Locked(path, made=False) as locked:
        async with running(path) as store:
            locked.take()
            with pytest.raises(StorageUnavailable):
                await store.actor.execute(CreateTenant("never", None), PATIENCE)
            with trio.fail_after(3):
                store.actor.close()
                await store.ended.wait()


async def test_a_claim_that_nobody_waits_for_does_not_hold_up_the_stop_of_a_store_that_fails(path: Path) -> None:
    with Locked(path, made=False) as locked:
        async with running(path) as store:
            acme = await store.tenant()
            webhook = await store.webhook(acme)
            locked.take()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(store.claim, webhook)
                while not store.actor.troubles():
                    await trio.lowlevel.checkpoint()
                nursery.cancel_scope.cancel()
            with trio.fail_after(3):
                store.actor.close()
                await store.ended.wait()


async def test_a_bug_in_housekeeping_is_no_storage_failure(path: Path) -> None:
    """A table that is missing is not a disk that fails: the process has to end."""

    async def with_a_table_missing() -> None:
        async with running(path) as store:
            acme = await store.tenant()
            other = sqlite3.connect(path)
            other.execute("DROP TABLE subscriptions")
            other.close()
            await store.remove(acme)
            await trio.sleep_forever()

    with pytest.raises(ExceptionGroup) as raised:
        await with_a_table_missing()
    assert raised.group_contains(sqlite3.OperationalError)
