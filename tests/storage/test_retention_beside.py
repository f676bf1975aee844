"""Retention beside everything else the writer does: publishes, a storage that fails, a crash."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import trio

from daemon.identifiers import now_ms
from daemon.persistence import deletion, deletion_rate
from daemon.persistence.database import open_writer
from tests.storage.clockwork import DAY
from tests.storage.histories import History
from tests.storage.stores import Locked, running

if TYPE_CHECKING:
    from pathlib import Path

EVENTS = 100_000


def fill(path: Path, *, events: int, deliveries: int = 1) -> None:
    """Events of forty days ago, and one of now: the clock is right."""
    with closing(open_writer(path)) as db:
        history = History(db)
        history.many(events, now_ms() - 40 * DAY, deliveries=deliveries)
        history.event(now_ms())


def count(path: Path, table: str = "events") -> int:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


async def fewer_than(path: Path, events: int) -> None:
    while count(path) >= events:
        await trio.lowlevel.checkpoint()


async def test_a_publish_waits_for_one_step_at_most_of_a_purge_of_a_hundred_thousand_events(path: Path) -> None:
    fill(path, events=EVENTS)
    async with running(path) as store:
        acme = await store.tenant("other")
        await store.webhook(acme)
        await fewer_than(path, EVENTS)
        waited: list[int] = []
        for _ in range(50):
            before = count(path)
            await store.publish(acme)
            waited.append(before + 1 - count(path))
        assert count(path) > EVENTS // 10, "it was still under way"
        # What goes between the looks: the step that was running, and one that began with the answer.
        assert sorted(waited)[len(waited) // 2] <= deletion_rate.MOST_ROWS
        assert max(waited) <= 2 * deletion_rate.MOST_ROWS


async def test_a_storage_that_fails_amid_a_purge_delays_it_and_no_more(path: Path) -> None:
    fill(path, events=500)
    async with running(path) as store:
        await fewer_than(path, 500)
        with Locked(path):
            while not store.actor.troubles():
                await trio.lowlevel.checkpoint()
        await fewer_than(path, 2)
    assert count(path) == 1
    assert count(path, "deliveries") == 0


async def test_a_crash_between_any_two_steps_leaves_whole_events_and_the_next_start_goes_on(
    path: Path, tmp_path: Path
) -> None:
    fill(path, events=300, deliveries=3)
    with closing(open_writer(path)) as db:
        # One that goes in several steps.
        db.execute(
            """WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
               INSERT INTO deliveries (id, event, webhook, tenant, event_type, status, created, finished)
               SELECT 'dlv_' || lower(hex(randomblob(16))), 100, webhook, tenant, event_type, status, created, finished
               FROM n, (SELECT * FROM deliveries WHERE event = 100 LIMIT 1)"""
        )
    copies: list[Path] = []
    async with running(path):
        seen = -1
        while count(path) > 1 or count(path, "deliveries"):
            now = count(path, "deliveries")
            if now != seen:
                copies.append(copied(path, tmp_path / f"crashed-{len(copies)}.db"))
                seen = now
            await trio.lowlevel.checkpoint()
    assert len(copies) > 5
    hidden = 0
    for copy in copies:
        with closing(open_writer(copy)) as db:
            gone = deletion.hidden(db)
            hidden += gone is not None
            parts = db.execute("SELECT event, count(*) FROM deliveries GROUP BY event").fetchall()
            assert {event for event, _ in parts} <= History.events_of(db) | {gone}
            assert all(number == (2003 if event == 100 else 3) for event, number in parts if event != gone)
    assert hidden
    async with running(copies[len(copies) // 2]):
        while count(copies[len(copies) // 2], "deliveries"):
            await trio.lowlevel.checkpoint()


def copied(path: Path, target: Path) -> Path:
    """The files as a kill would leave them: so little is written that there is no checkpoint."""
    for suffix in ("", "-wal"):
        shutil.copy(path.with_name(path.name + suffix), target.with_name(target.name + suffix))
    return target
