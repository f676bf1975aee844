"""What operators are told of the storage: who waits for how long, what room there is, and what is the matter."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
import trio

from daemon.persistence import actor
from daemon.persistence.commands import UpdateTenant
from daemon.persistence.space import FreeSpace
from daemon.refusals import StorageUnavailable
from tests.storage.stores import PATIENCE, Locked

if TYPE_CHECKING:
    from pathlib import Path

    from tests.storage.stores import Store


async def test_what_waits_is_told_by_tenant_with_the_age_of_its_oldest(store: Store) -> None:
    acme, globex, idle = await store.tenant("acme"), await store.tenant("globex"), await store.tenant("idle")
    for tenant, number in ((acme, 2), (globex, 3), (idle, 1)):
        await store.webhook(tenant)
        await store.webhook(tenant)
        await store.publish(tenant, number)
    await store.actor.execute(UpdateTenant(idle.seq, active=False), PATIENCE)
    assert store.actor.waits.by_tenant() == {"acme": 4, "globex": 6}
    assert store.actor.waits.total() == 10
    while set(store.actor.waits.oldest_by_tenant()) != {"acme", "globex"}:
        await trio.lowlevel.checkpoint()
    assert all(0 <= age < 30 for age in store.actor.waits.oldest_by_tenant().values())


async def test_a_tenant_for_which_nothing_waits_any_more_has_no_oldest(store: Store) -> None:
    acme = await store.tenant()
    webhook = await store.webhook(acme)
    await store.publish(acme)
    while not store.actor.waits.oldest_by_tenant():
        await trio.lowlevel.checkpoint()
    assert await store.claim(webhook)
    assert store.actor.waits.oldest_by_tenant() == {}


async def test_a_disk_that_does_not_answer_is_told_before_it_fails(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actor, "_SILENCE", 0.1)
    assert store.actor.troubles() == {}
    with Locked(path):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_tenant, store)
            while not store.actor.troubles():
                await trio.lowlevel.checkpoint()
            assert store.actor._intake.failing is None
            assert "has not answered" in store.actor.troubles()["storage"]
    while store.actor.troubles():
        await trio.lowlevel.checkpoint()


async def _tenant(store: Store) -> None:
    with pytest.raises(StorageUnavailable, match="locked"):
        await store.tenant()


def test_room_is_what_the_files_take_and_what_is_free(tmp_path: Path) -> None:
    database = tmp_path / "test.db"
    space = FreeSpace(database, 0)
    assert space.size() == {"main": 0, "wal": 0}
    database.write_bytes(bytes(4096))
    database.with_name("test.db-wal").write_bytes(bytes(100))
    assert space.size() == {"main": 4096, "wal": 100}
    status = os.statvfs(tmp_path)
    free = space.free()
    assert free is not None
    assert 0 < free <= status.f_blocks * status.f_frsize
    assert FreeSpace(tmp_path / "missing" / "test.db", 0).free() is None
