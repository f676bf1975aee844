"""A search finds all that matches, page by page, however the clock has been set, and looks at few rows at a time."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.persistence import searching, walking
from daemon.persistence.clock_steps import ClockSteps, spans
from daemon.persistence.database import open_writer
from daemon.persistence.searching import DeliveryFilter, EventFilter
from tests.storage.stores import failed, running, succeeded

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from daemon.model import Delivery, EventSummary
    from daemon.persistence.searching import Searched
    from tests.storage.stores import Store


@pytest.fixture
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "MOST_ROWS", 7)
    monkeypatch.setattr(walking, "_FIRST_PORTION", 2)


async def whole(store: Store, query: Callable[..., Searched[Delivery | EventSummary]], chosen: object) -> list[int]:
    """The seqs of all pages of two."""
    found: list[int] = []
    before: int | None = None
    while True:
        page = await store.actor.read(query, chosen, 2, before)
        found += [row.seq for row in page.rows]
        if len(page.rows) == 2:
            before = page.rows[-1].seq
        elif page.seen is not None:
            before = page.seen
        else:
            return found


@pytest.mark.usefixtures("few_rows")
async def test_what_is_rare_is_found_at_the_end_of_many_pages_and_none_looks_at_many_rows(path: Path) -> None:
    async with running(path) as store:
        acme = await store.tenant()
        hooks = [await store.webhook(acme) for _ in range(2)]
        await store.publish(acme, key="the first")
        await store.publish(acme, 40)
        for hook in hooks:
            first, *others = await store.claim(hook)
            await store.finish(hook, failed(first), *map(succeeded, others[:30]))
        first_deliveries = [2, 1]
        mine = DeliveryFilter(tenant=acme.seq)
        assert await whole(store, searching.deliveries, mine) == list(range(82, 0, -1))
        for status, count in (("failed", 2), ("succeeded", 60), ("sending", 20), ("pending", 0), ("cancelled", 0)):
            chosen = DeliveryFilter(tenant=acme.seq, status=status)
            found = await whole(store, searching.deliveries, chosen)
            assert len(found) == count, status
            assert found == sorted(found, reverse=True)
            every = await whole(store, searching.deliveries, DeliveryFilter(status=status))
            assert every == found
            both = [DeliveryFilter(tenant=acme.seq, webhook=hook.seq, status=status) for hook in hooks]
            of_hooks = [await whole(store, searching.deliveries, one) for one in both]
            assert sorted(seq for seqs in of_hooks for seq in seqs) == sorted(found)
        of_code = DeliveryFilter(tenant=acme.seq, error="http_status")
        assert await whole(store, searching.deliveries, of_code) == first_deliveries
        assert await whole(store, searching.deliveries, DeliveryFilter(error="dns_failed")) == []
        assert await whole(store, searching.deliveries, DeliveryFilter(status="sending", error="http_status")) == []
        assert await whole(store, searching.events, EventFilter(tenant=acme.seq, error="http_status")) == [1]
        assert await whole(store, searching.events, EventFilter(status="failed")) == [1]
        assert await whole(store, searching.events, EventFilter(tenant=acme.seq, idempotency_key="the first")) == [1]
        assert await whole(store, searching.events, EventFilter(tenant=acme.seq)) == list(range(41, 0, -1))
        nothing = await store.actor.read(searching.deliveries, DeliveryFilter(event_type="none"), 50, None)
        assert (nothing.rows, nothing.seen) == ([], 76)


@pytest.mark.usefixtures("few_rows")
async def test_deliveries_cancelled_but_not_rewritten_are_among_the_cancelled_and_not_the_pending(path: Path) -> None:
    async with running(path) as store:
        acme = await store.tenant()
        webhook = await store.webhook(acme)
        await store.publish(acme, 5)
    with closing(open_writer(path)) as db:
        db.execute("UPDATE webhooks SET cancelled_through = 3")
        for chosen in (DeliveryFilter(tenant=acme.seq), DeliveryFilter(), DeliveryFilter(webhook=webhook.seq)):
            pending = DeliveryFilter(chosen.tenant, chosen.webhook, "pending")
            assert [row.seq for row in searching.deliveries(db, pending, 50, None).rows] == [5, 4]
            cancelled = DeliveryFilter(chosen.tenant, chosen.webhook, "cancelled")
            assert [row.seq for row in searching.deliveries(db, cancelled, 50, None).rows] == [3, 2, 1]


async def test_another_tenants_are_in_no_search_nor_are_those_of_a_removed_one(path: Path) -> None:
    async with running(path) as store:
        acme, beta = await store.tenant("acme"), await store.tenant("beta")
        for tenant in (acme, beta):
            await store.webhook(tenant)
            await store.publish(tenant, key="same")
        assert await whole(store, searching.events, EventFilter(tenant=beta.seq, idempotency_key="same")) == [2]
        assert await whole(store, searching.deliveries, DeliveryFilter(tenant=acme.seq, status="pending")) == [1]
        await store.remove(beta)
        assert await whole(store, searching.events, EventFilter()) == [1]
        assert await whole(store, searching.deliveries, DeliveryFilter(status="pending")) == [1]


def insert(db: sqlite3.Connection, at: int) -> None:
    db.execute(
        """INSERT INTO events (id, tenant, type, created, deliveries, payload)
           VALUES ('evt_' || lower(hex(randomblob(10))), 1, 'a', ?, 0, '')""",
        (at,),
    )


STEPS = st.lists(
    st.tuples(st.sampled_from([-30_000, -4000, -900, 0, 900, 5000]), st.integers(1, 3), st.booleans()),
    min_size=5,
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(STEPS, st.integers(80_000, 130_000), st.integers(500, 20_000), st.integers(1, 2))
def test_no_row_of_a_time_is_missed_though_the_clock_is_set_back_and_the_daemon_restarted(
    steps: list[tuple[int, int, bool]], since: int, length: int, kept: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, closing(open_writer(Path(folder) / "test.db")) as db:
        clock, now = ClockSteps(db), 100_000
        for change, count, restarts in steps:
            if restarts:
                clock = ClockSteps(db)
            now += change
            clock.note(db, now)
            for _ in range(count):
                insert(db, now)
            clock.committed(now)
        db.execute("DELETE FROM events WHERE seq % 3 = ?", (kept,))
        until = since + length
        wanted = {
            seq for (seq,) in db.execute("SELECT seq FROM events WHERE created >= ? AND created < ?", (since, until))
        }
        found = spans(db, "events", since, until)
        assert [span.last for span in found] == sorted((span.last for span in found), reverse=True)
        assert not [seq for seq in wanted if not any(span.first <= seq <= span.last for span in found)]


def test_what_came_after_the_clock_was_set_back_is_found_with_what_came_before(path: Path) -> None:
    with closing(open_writer(path)) as db:
        clock = ClockSteps(db)
        for at in (100_000, 105_000, 110_000, 80_000, 81_000, 101_000):
            clock.note(db, at)
            insert(db, at)
            clock.committed(at)
        assert spans(db, "events", 80_500, 80_600) == [(4, 5)]
        assert spans(db, "events", 100_500, 101_500) == [(6, 6), (1, 1)]


def test_a_time_long_ago_is_not_looked_for_row_by_row(path: Path) -> None:
    with closing(open_writer(path)) as db:
        for at in range(0, 1_000_000, 1000):
            insert(db, at)
        (span,) = spans(db, "events", 500_000, 510_000)
        assert span.last - span.first < 15
