"""What `check` finds: everything that should not be, and nothing in a database that is sound."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import trio

from daemon.persistence.backlog import Backlog
from daemon.persistence.checking import check
from daemon.persistence.clock_steps import ClockSteps
from daemon.persistence.commands import (
    DeleteWebhook,
    FanOut,
    Ping,
    Publish,
    Redeliver,
    RemoveTenant,
    StartRecovery,
    UpdateTenant,
)
from daemon.persistence.database import open_writer
from daemon.persistence.execution import execute
from daemon.persistence.schema import NewerDatabase
from daemon.settings import Limits
from tests.storage.stores import PATIENCE, failed, new_event, running, succeeded

if TYPE_CHECKING:
    from pathlib import Path

    from tests.storage.stores import Store

BROKEN = {
    "deliveries of events that are not there": "DELETE FROM events WHERE seq = 1",
    "deliveries to webhooks that are not there": "UPDATE deliveries SET webhook = 99 WHERE seq = 1",
    "deliveries of another tenant's": "UPDATE deliveries SET tenant = 2 WHERE seq = 1",
    "tenants that are not there": "UPDATE webhooks SET tenant = 99",
    "secrets without a webhook": "INSERT INTO secrets VALUES (99, 1, NULL, x'00')",
    "webhooks without a secret": "DELETE FROM secrets WHERE webhook = 1",
    "subscriptions that are not": "DELETE FROM subscriptions WHERE webhook = 1",
    "subscriptions that are": "INSERT INTO subscriptions VALUES (1, 'other', 1)",
    "whose status does not fit": "UPDATE deliveries SET finished = NULL WHERE status = 'failed'",
    "whose status does not": "UPDATE deliveries SET status = 'sent' WHERE seq = 1",
    "counters or last delivery": "UPDATE webhooks SET delivery_attempts = 0",
    "counters or last": "UPDATE webhooks SET cancelled_through = 999",
    "numbers might be given out twice": "UPDATE sqlite_sequence SET seq = 1 WHERE name = 'deliveries'",
    "fewer or more deliveries": "DELETE FROM deliveries WHERE seq = 1",
    "promised deliveries": "INSERT INTO fan_outs VALUES (1, 1, 2, 1000, '[]')",
    "parts of them, of what is not there": "INSERT INTO recovery_deliveries VALUES (1, 99, 1)",
    "recoveries that contradict": "UPDATE recoveries SET skipped = 99",
    "settings of the database": "DELETE FROM meta WHERE key = 'cursor_key'",
    "It cannot be said": "UPDATE webhooks SET events = 'none'",
    "webhooks whose own headers or limits cannot be right": "UPDATE webhooks SET max_concurrent = 0 WHERE seq = 1",
}


async def lived_in(store: Store) -> None:
    acme, beta = await store.tenant("acme"), await store.tenant("beta")
    webhook, other = await store.webhook(acme), await store.webhook(beta)
    await store.publish(acme, 20)
    await store.publish(beta, 20, key=None)
    first, second, *_ = await store.claim(webhook, 5)
    await store.finish(webhook, succeeded(first, at=first_of_now()), failed(second, at=first_of_now()))
    await store.actor.execute(Redeliver(acme.seq, first.id), PATIENCE)
    await store.actor.execute(Ping(acme.seq, webhook.id), PATIENCE)
    await store.actor.execute(DeleteWebhook(beta.seq, other.id), PATIENCE)
    await store.actor.execute(StartRecovery(acme.seq, webhook.id, 0, first_of_now(), ("failed",), None), PATIENCE)


def first_of_now() -> int:
    return 4_000_000_000_000


async def test_a_database_in_use_is_sound_whatever_goes_on(path: Path) -> None:
    async with running(path) as store:
        assert check(path).problems == []
        await lived_in(store)
        acme = await store.tenant("gone")
        for _ in range(3):
            await store.webhook(acme)
        await store.publish(acme, 300)
        await store.actor.execute(UpdateTenant(acme.seq, active=False), PATIENCE)
        await store.actor.execute(RemoveTenant(acme.seq), PATIENCE)
        gone = False
        while not gone:
            report = await trio.to_thread.run_sync(check, path)
            assert report.problems == []
            with closing(sqlite3.connect(path)) as db:
                gone = not db.execute("SELECT 1 FROM tenants WHERE removed").fetchone()
    report = check(path)
    assert report.problems == []
    assert report.facts is not None
    assert (report.facts.tenants, report.facts.events, report.facts.sending) == (2, 41, 3)


async def test_a_fan_out_under_way_is_sound_also_when_its_last_events_go_nowhere(path: Path) -> None:
    async with running(path) as store:
        acme, beta = await store.tenant("acme"), await store.tenant("beta")
        for _ in range(10):
            await store.webhook(acme)
    with closing(open_writer(path)) as db:
        events = [new_event(tenant) for tenant in (acme, beta) for _ in range(60)]
        (begun,) = execute(db, [Publish(events, batch=True)], 1000, Limits(), Backlog(), ClockSteps(db)).answers
        for _ in range(2):
            assert execute(db, [FanOut(begun.fan_out)], 1000, Limits(), Backlog(), ClockSteps(db)).answers == [False]
        assert check(path).problems == []
        assert execute(db, [FanOut(begun.fan_out)], 1000, Limits(), Backlog(), ClockSteps(db)).answers == [True]
    assert check(path).problems == []


@pytest.mark.parametrize("name", BROKEN)
async def test_each_contradiction_is_found_and_named(name: str, path: Path) -> None:
    async with running(path) as store:
        await lived_in(store)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(BROKEN[name])
    problems = check(path).problems
    assert any(name in problem for problem in problems), problems


async def test_an_index_that_lacks_a_row_is_found(path: Path) -> None:
    async with running(path) as store:
        await lived_in(store)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        # Rows are added while SQLite does not know of the index.
        db.execute("PRAGMA writable_schema = 1")
        (kept,) = db.execute("SELECT sql FROM sqlite_master WHERE name = 'deliveries_event'").fetchone()
        db.execute("UPDATE sqlite_master SET sql = sql || ' WHERE seq > 99' WHERE name = 'deliveries_event'")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE deliveries SET event = 2 WHERE seq = 1")
        db.execute("PRAGMA writable_schema = 1")
        db.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'deliveries_event'", (kept,))
    assert any("SQLite finds it damaged" in problem for problem in check(path).problems)


async def test_it_changes_nothing(path: Path) -> None:
    async with running(path) as store:
        await lived_in(store)
    before = content(path)
    assert check(path).problems == []
    assert content(path) == before


def content(path: Path) -> bytes:
    return path.read_bytes()


def test_what_a_newer_daemon_wrote_is_refused_and_what_none_wrote_is_not_sound(path: Path) -> None:
    with closing(open_writer(path)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(NewerDatabase, match="newer daemon"):
        check(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 0")
    assert "no daemon has ever started" in check(path).problems[0]
