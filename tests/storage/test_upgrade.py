"""A database of every earlier schema opens, becomes what a new one is, and keeps its promises (CONTRACT §8)."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from daemon.identifiers import now_ms
from daemon.persistence.checking import check
from daemon.persistence.database import open_writer
from daemon.persistence.recovery import recover
from daemon.persistence.schema import MIGRATIONS, version
from tests.storage.stores import running, succeeded
from tests.storage.upgrades import FIXTURES, restore

if TYPE_CHECKING:
    from pathlib import Path

EVERY = pytest.mark.parametrize("old", sorted(FIXTURES))


def schema(db: sqlite3.Connection) -> list[tuple[str, str]]:
    found = db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
    return [(name, " ".join(sql.split())) for name, sql in found]


def deliveries(path: Path, condition: str) -> set[str]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return {id for (id,) in db.execute(f"SELECT d.id FROM deliveries d WHERE {condition}")}


def test_there_is_a_fixture_of_every_version() -> None:
    assert sorted(FIXTURES) == list(range(1, len(MIGRATIONS) + 1))


@EVERY
def test_what_it_becomes_is_what_a_new_database_is(old: int, path: Path, tmp_path: Path) -> None:
    restore(old, path)
    with closing(open_writer(path)) as migrated, closing(open_writer(tmp_path / "new.db")) as new:
        assert version(migrated) == len(MIGRATIONS)
        assert schema(migrated) == schema(new)
        assert migrated.execute("PRAGMA auto_vacuum").fetchone() == (2,)


@EVERY
def test_it_is_sound_before_and_after(old: int, path: Path) -> None:
    restore(old, path)
    before = check(path)
    assert before.problems == []
    assert before.outdated == (old < len(MIGRATIONS))
    with closing(open_writer(path)) as db:
        recover(db, now_ms())
    after = check(path)
    assert after.problems == []
    assert not after.outdated
    assert before.facts is not None
    assert after.facts is not None
    assert (after.facts.tenants, after.facts.events) == (before.facts.tenants, before.facts.events)
    assert after.facts.deliveries >= before.facts.deliveries
    assert (before.facts.sending, after.facts.sending) == (1, 0)


@EVERY
async def test_what_waited_is_attempted_what_was_under_way_is_interrupted_and_nothing_else_changes(
    old: int, path: Path
) -> None:
    restore(old, path)
    sending = deliveries(path, "status = 'sending'")
    final = deliveries(path, "finished IS NOT NULL")
    of_active = (
        "d.webhook IN (SELECT w.seq FROM webhooks w JOIN tenants t ON t.seq = w.tenant WHERE w.active AND t.active)"
    )
    waiting = deliveries(path, f"status = 'pending' AND {of_active}")
    with closing(open_writer(path)) as db:
        recovered = recover(db, now_ms())
    assert {interrupted.id for interrupted in recovered.interrupted} == sending
    async with running(path) as store:
        claimed: set[str] = set()
        for tenant, webhooks in store.actor.work().items():
            for seq in webhooks:
                webhook = await store.webhook_by(tenant, seq)
                attempted = await store.claim(webhook, 1000)
                claimed |= {delivery.id for delivery in attempted}
                await store.finish(webhook, *(succeeded(delivery, at=now_ms()) for delivery in attempted))
    assert waiting
    assert waiting <= claimed
    assert not claimed & (sending | final)
    assert deliveries(path, f"finished IS NULL AND {of_active}") == set()
    assert sending <= deliveries(path, "status = 'interrupted'")
    assert final <= deliveries(path, "finished IS NOT NULL")
    assert check(path).problems == []
