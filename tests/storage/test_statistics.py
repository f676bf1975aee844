"""How a webhook has fared: counted exactly, and said where not all is."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from daemon.identifiers import now_ms
from daemon.persistence import statistics as counting
from daemon.persistence.checking import check
from daemon.persistence.commands import Ping
from daemon.persistence.database import open_writer
from daemon.persistence.statistics import Durations, percentiles, statistics
from tests.storage.stores import PATIENCE, failed, running, succeeded
from tests.storage.upgrades import restore

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


async def test_outcomes_errors_and_durations_are_counted_and_pings_are_not(path: Path) -> None:
    async with running(path) as store:
        acme = await store.tenant()
        webhook, _ = await store.webhook(acme), await store.webhook(acme)
        await store.publish(acme, 6)
        await store.actor.execute(Ping(acme.seq, webhook.id), PATIENCE)
        first, second, third, fourth, fifth, _, ping = await store.claim(webhook)
        await store.finish(webhook, succeeded(first), failed(second, at=5000), failed(third), succeeded(ping))
        await store.put_back(webhook, fourth, fifth)
        found = await store.actor.read(statistics, webhook.seq, now_ms() - 60_000)
        assert found.statuses == {"succeeded": 1, "failed": 2, "pending": 2, "sending": 1}
        assert found.errors == {"http_status": 2}
        assert found.durations == Durations(10, 10, 10)
        assert found.complete
        later = await store.actor.read(statistics, webhook.seq, now_ms() + 60_000)
        assert (later.statuses, later.durations) == ({}, Durations(None, None, None))


async def test_failures_in_a_row_are_counted_across_commits_and_end_with_a_success(path: Path) -> None:
    async with running(path) as store:
        acme = await store.tenant()
        webhook = await store.webhook(acme)
        await store.publish(acme, 9)
        ready = await store.claim(webhook)

        async def run() -> tuple[int, int | None]:
            found = await store.actor.read(statistics, webhook.seq, 0)
            return found.consecutive_failures, found.failing_since

        assert await run() == (0, None)
        await store.finish(webhook, failed(ready[0], at=1000), failed(ready[1], at=2000))
        assert await run() == (2, 1000)
        await store.finish(webhook, failed(ready[2], at=3000))
        assert await run() == (3, 1000)
        await store.finish(webhook, failed(ready[3], at=4000), succeeded(ready[4], at=5000), failed(ready[5], at=6000))
        assert await run() == (1, 6000)
        await store.finish(webhook, failed(ready[6], at=7000), succeeded(ready[7], at=8000))
        assert await run() == (0, None)
    assert check(path).problems == []


async def test_where_there_are_more_than_are_counted_the_answer_says_since_when_it_holds(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "MOST_ROWS", 3)
    async with running(path) as store:
        acme = await store.tenant()
        webhook = await store.webhook(acme)
        await store.publish(acme, 5)
    with closing(open_writer(path)) as db:
        db.execute("UPDATE deliveries SET created = seq * 1000")
        found = statistics(db, webhook.seq, 0)
        assert (found.complete, found.since, found.statuses) == (False, 3000, {"pending": 3})


def test_a_webhook_that_failed_last_fails_at_least_since_then_after_an_upgrade(path: Path) -> None:
    restore(2, path)
    with closing(open_writer(path)) as db:
        rows = db.execute(
            """SELECT consecutive_failures, failing_since, unixepoch(last_delivery ->> 'at') * 1000 FROM webhooks
               WHERE last_delivery ->> 'status' = 'failed'"""
        ).fetchall()
    assert rows
    assert all(count == 1 and abs(since - at) < 1000 for count, since, at in rows)


@given(st.lists(st.integers(0, 500), min_size=1))
def test_percentiles_are_those_of_the_nearest_rank(values: list[int]) -> None:
    histogram = {value: values.count(value) for value in values}
    found = percentiles(histogram)
    for percent, value in ((50, found.p50), (95, found.p95), (99, found.p99)):
        assert value is not None
        assert sum(one <= value for one in values) * 100 >= percent * len(values)
        assert sum(one < value for one in values) * 100 < percent * len(values)
