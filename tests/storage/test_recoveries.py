"""A recovery redelivers what did not arrive, each event once, a few at a time, whatever comes between."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from daemon.identifiers import now_ms
from daemon.model import Finished, Outcome
from daemon.persistence import deletion, recovery, recovery_queries, searching
from daemon.persistence.backlog import Backlog
from daemon.persistence.checking import check
from daemon.persistence.clock_steps import ClockSteps
from daemon.persistence.commands import (
    CancelRecovery,
    Command,
    DeleteWebhook,
    ForgetRecoveries,
    Ping,
    RecoveryStep,
    Redeliver,
    StartRecovery,
    UpdateTenant,
    UpdateWebhook,
)
from daemon.persistence.database import open_writer
from daemon.persistence.execution import execute
from daemon.persistence.expiry import Place
from daemon.persistence.recovery_queries import Scope
from daemon.persistence.recovery_steps import MOST_WAITING
from daemon.persistence.recovery_window import WINDOW
from daemon.persistence.searching import DeliveryFilter
from daemon.refusals import LimitReached, NotFound, TenantInactive, WebhookInactive
from daemon.settings import Limits
from tests.storage.stores import PATIENCE, Locked, Store, failed, running, succeeded

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from daemon.model import Claimed, Recovery, Tenant, Webhook

BOTH = ("failed", "interrupted")
EVENTS = 3 * MOST_WAITING


class Recovered:
    """A tenant whose webhook was down: `EVENTS` deliveries have failed."""

    def __init__(self, store: Store, tenant: Tenant, webhook: Webhook) -> None:
        self.store, self.tenant, self.webhook = store, tenant, webhook
        self.sent: list[int] = []

    async def start(self, *, all_webhooks: bool = False, **changes: object) -> Recovery:
        chosen: dict[str, object] = {"since": 0, "until": now_ms() + 1, "statuses": BOTH, "total": None, **changes}
        webhook = None if all_webhooks else self.webhook.id
        command = StartRecovery(self.tenant.seq, webhook, **chosen)
        return await self.store.actor.execute(command, PATIENCE)

    async def look(self, job: Recovery) -> Recovery:
        found = await self.store.actor.read(recovery_queries.recovery, job.id, None)
        assert found is not None
        return found

    async def until(self, job: Recovery, reached: Callable[[Recovery], bool]) -> Recovery:
        while True:
            if reached(seen := await self.look(job)):
                return seen

    async def deliver(self, webhook: Webhook | None = None, limit: int = 50, *, ends: object = succeeded) -> int:
        """Attempt some of what waits."""
        chosen = webhook or self.webhook
        claimed = await self.store.claim(chosen, limit)
        self.sent += [delivery.seq for delivery in claimed]
        await self.store.finish(chosen, *(ends(delivery, at=now_ms()) for delivery in claimed))
        return len(claimed)

    async def run(self, job: Recovery, webhook: Webhook | None = None) -> Recovery:
        """Deliver until it is over."""
        while (seen := await self.look(job)).status == "running":
            await self.deliver(webhook)
        return seen

    async def redeliveries(self, **chosen: object) -> list[str]:
        """The events of all redeliveries."""
        found = (await self.store.actor.read(searching.deliveries, DeliveryFilter(**chosen), 1000, None)).rows
        return [delivery.event for delivery in found if delivery.redelivery_of]


async def down(store: Store, count: int = EVENTS) -> Recovered:
    tenant = await store.tenant()
    webhook = await store.webhook(tenant)
    scene = Recovered(store, tenant, webhook)
    for _ in range(0, count, 100):
        await store.publish(tenant, min(count, 100))
    while await scene.deliver(limit=200, ends=failed):
        pass
    scene.sent.clear()
    return scene


def interrupted(delivery: Claimed, *, at: int) -> Finished:
    return Finished(delivery, Outcome("interrupted", at - 10, at))


async def test_every_failed_event_is_redelivered_once_and_few_wait_at_a_time(store: Store, path: Path) -> None:
    scene = await down(store)
    job = await scene.start(total=EVENTS)
    assert (job.status, job.total, job.webhook) == ("running", EVENTS, scene.webhook.id)
    most = 0
    while (seen := await scene.look(job)).status == "running":
        most = max(most, store.actor.waits.total())
        assert check(path).problems == []
        await scene.deliver()
    assert 0 < most <= MOST_WAITING
    assert (seen.examined, seen.redelivered, seen.skipped, seen.succeeded) == (EVENTS, EVENTS, 0, EVENTS)
    events = await scene.redeliveries()
    assert len(events) == len(set(events)) == EVENTS
    assert store.actor.recoveries == 0
    assert check(path).problems == []


async def test_what_has_arrived_since_waits_or_was_a_ping_is_skipped(store: Store) -> None:
    scene = await down(store, 4)
    first, second, third, _ = (await store.actor.read(searching.deliveries, DeliveryFilter(), 1000, None)).rows
    await store.actor.execute(Redeliver(None, first.id), PATIENCE)
    await scene.deliver(limit=1)
    await store.actor.execute(Redeliver(None, second.id), PATIENCE)
    await store.claim(scene.webhook, 1)
    await store.actor.execute(Redeliver(None, third.id), PATIENCE)
    scene.sent.clear()
    job = await scene.start()
    await scene.until(job, lambda seen: seen.examined == 4)
    await store.actor.execute(Ping(None, scene.webhook.id), PATIENCE)
    seen = await scene.run(job)
    assert (seen.skipped, seen.redelivered) == (3, 1)
    while await scene.deliver(ends=failed):
        pass
    seen = await scene.run(await scene.start())
    assert seen.redelivered == 0, "the ping, and what it ran into, are no events to recover"


async def test_an_event_with_several_failed_deliveries_is_redelivered_once(store: Store) -> None:
    scene = await down(store, 3)
    for _ in range(4):
        for delivery in (await store.actor.read(searching.deliveries, DeliveryFilter(), 1000, None)).rows[:3]:
            await store.actor.execute(Redeliver(None, delivery.id), PATIENCE)
        await scene.deliver(ends=failed)
    counted = await store.actor.read(recovery_queries.count, Scope(None, None, 0, now_ms() + 1, BOTH))
    assert (counted.examined, counted.redelivered, counted.whole) == (15, 3, True)
    seen = await scene.run(await scene.start())
    assert (seen.examined, seen.redelivered) == (15, 3)


async def test_only_what_was_created_in_the_range_and_ended_so_is_redelivered(store: Store, path: Path) -> None:
    scene = await down(store, 6)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE deliveries SET created = 1000 + seq % 6")
    await store.publish(scene.tenant, 2)
    await scene.deliver(ends=interrupted)
    seen = await scene.run(await scene.start(since=1001, until=1004))
    assert (seen.examined, seen.redelivered) == (3, 3)
    seen = await scene.run(await scene.start(statuses=("interrupted",)))
    assert (seen.examined, seen.redelivered) == (2, 2)
    seen = await scene.run(await scene.start(since=5000, statuses=("failed",)))
    assert seen.examined == 0


async def test_what_a_recovery_made_can_be_redelivered_and_recovered(store: Store) -> None:
    scene = await down(store, 2)
    job = await scene.start()
    await scene.until(job, lambda seen: seen.redelivered == 2)
    await scene.deliver(ends=failed)
    seen = await scene.until(job, lambda seen: seen.status == "completed")
    assert (seen.redelivered, seen.failed) == (2, 2)
    newest, *_ = (await store.actor.read(searching.deliveries, DeliveryFilter(), 1000, None)).rows
    await store.actor.execute(Redeliver(None, newest.id), PATIENCE)
    await scene.deliver()
    seen = await scene.run(await scene.start())
    assert (seen.redelivered, seen.succeeded) == (1, 1)


async def test_recoveries_at_once_redeliver_each_event_once_together(store: Store) -> None:
    scene = await down(store)
    jobs = [await scene.start(), await scene.start(all_webhooks=True), await scene.start()]
    seen = [await scene.run(job) for job in jobs]
    assert sum(job.redelivered for job in seen) == EVENTS
    events = await scene.redeliveries()
    assert len(events) == len(set(events)) == EVENTS


async def test_a_crash_half_way_goes_on_where_it_was(path: Path, tmp_path: Path) -> None:
    crashed = tmp_path / "crashed.db"
    async with running(path) as store:
        scene = await down(store)
        job = await scene.start()
        await scene.until(job, lambda seen: seen.redelivered == MOST_WAITING)
        await scene.deliver(limit=80)
        await store.claim(scene.webhook, 16)  # these are being sent
        for suffix in ("", "-wal"):
            shutil.copy(path.with_name(path.name + suffix), crashed.with_name(crashed.name + suffix))
    with closing(open_writer(crashed)) as db:
        assert len(recovery.recover(db, now_ms()).interrupted) == 16
    async with running(crashed) as store:
        scene.store = store
        seen = await scene.run(job)
        assert (seen.status, seen.redelivered, seen.interrupted) == ("completed", EVENTS, 16)
        assert seen.succeeded == EVENTS - 16
        events = await scene.redeliveries()
        assert len(events) == len(set(events)) == EVENTS
    assert check(crashed).problems == []


async def test_cancelled_amid_it_makes_no_more_and_what_waits_is_cancelled(store: Store, path: Path) -> None:
    scene = await down(store)
    job = await scene.start()
    await scene.until(job, lambda seen: seen.redelivered == MOST_WAITING)
    under_way = await store.claim(scene.webhook, 10)
    answer = await store.actor.execute(CancelRecovery(scene.tenant.seq, job.id), PATIENCE)
    assert (answer.status, answer.redelivered) == ("cancelled", MOST_WAITING)
    assert await store.claim(scene.webhook, 100) == []
    assert store.actor.waits.total() == 0
    await store.finish(scene.webhook, *(succeeded(delivery, at=now_ms()) for delivery in under_way))
    seen = await scene.until(job, lambda seen: seen.succeeded == 10)
    assert seen.cancelled == MOST_WAITING - 10
    again = await store.actor.execute(CancelRecovery(None, job.id), PATIENCE)
    assert again.finished == answer.finished
    assert check(path).problems == []
    seen = await scene.run(await scene.start())
    assert (seen.skipped, seen.redelivered) == (10, EVENTS - 10)


async def test_once_it_is_cancelled_nothing_of_it_is_claimed_at_any_webhook(store: Store, path: Path) -> None:
    scene = await down(store, 300)
    other = await store.webhook(scene.tenant)
    await store.publish(scene.tenant, 100)
    for webhook in (scene.webhook, other):
        while await scene.deliver(webhook, limit=200, ends=failed):
            pass
    job = await scene.start(all_webhooks=True)
    await scene.until(job, lambda seen: seen.redelivered == 300)
    await store.actor.execute(CancelRecovery(None, job.id), PATIENCE)
    claimed = [await store.claim(webhook) for webhook in (scene.webhook, other)]
    assert claimed == [[], []]
    seen = await scene.until(job, lambda seen: seen.cancelled == 300)
    assert seen.status == "cancelled"
    while store.actor.recoveries:  # a reader may see the commit before the actor
        await trio.lowlevel.checkpoint()
    assert store.actor.waits.total() == 0
    await store.publish(scene.tenant, 1)
    assert len(await store.claim(other)) == 1
    assert check(path).problems == []


async def test_what_waits_for_its_deliveries_or_its_tenant_takes_no_steps_meanwhile(store: Store) -> None:
    scene = await down(store)
    job = await scene.start()
    await scene.until(job, lambda seen: seen.redelivered == MOST_WAITING)
    before = store.commits()
    for active in (False, True):
        await store.actor.execute(UpdateTenant(scene.tenant.seq, active=active), PATIENCE)
        await trio.testing.wait_all_tasks_blocked(0.3)
    assert store.commits() - before <= 4, "of which two are the changes of the tenant"
    assert (await scene.run(job)).succeeded == EVENTS


async def test_a_deactivation_amid_ends_it_for_good(store: Store, path: Path) -> None:
    scene = await down(store)
    job, wide = await scene.start(), await scene.start(all_webhooks=True)
    await scene.until(job, lambda seen: seen.redelivered > 0)
    for active in (False, True):
        await store.actor.execute(UpdateWebhook(None, scene.webhook.id, active=active), PATIENCE)
    seen = await scene.look(job)
    assert (seen.status, seen.reason) == ("cancelled", "The webhook was deactivated.")
    ended = await scene.until(wide, lambda seen: seen.status == "completed")
    while store.actor.recoveries:
        await trio.lowlevel.checkpoint()
    counted = await scene.look(job)
    assert counted.cancelled + ended.cancelled == counted.redelivered + ended.redelivered < EVENTS
    assert await store.claim(scene.webhook) == []
    assert check(path).problems == []


@pytest.mark.parametrize("whose", ["the tenant's", "all tenants'"])
async def test_a_webhook_that_was_not_reached_before_its_deactivation_is_left_out_though_revived(
    path: Path, whose: str
) -> None:
    async with running(path, Limits(webhooks_per_tenant=300)) as store:
        scene = await down(store, 1)
        others = [await store.webhook(scene.tenant) for _ in range(149)]
        await store.publish(scene.tenant, 1)
        for webhook in (scene.webhook, *others):
            await scene.deliver(webhook, ends=failed)
    last, next_to_last = others[-1], others[-2]
    with closing(open_writer(path)) as db:
        tenant = scene.tenant.seq if whose == "the tenant's" else None
        start = StartRecovery(tenant, None, 0, now_ms() + 1, BOTH, None)
        now, steps, limits = now_ms() + 1, ClockSteps(db), Limits(webhooks_per_tenant=300)

        def run(*commands: Command[object]) -> list[object]:
            answers = execute(db, commands, now, limits, Backlog(), steps).answers
            assert check(path).problems == []
            return answers

        (job,) = run(start)
        for _ in range(2):  # before it is reached, and again
            run(DeleteWebhook(last.tenant, last.id))
            run(UpdateWebhook(last.tenant, last.id, active=True))
        run(RecoveryStep(job.seq, last.seq))
        assert db.execute("SELECT count(*) FROM recovery_lanes WHERE webhook = ?", (last.seq,)).fetchone() == (0,)
        run(RecoveryStep(job.seq, 0))
        for webhook in (last, next_to_last):
            run(RecoveryStep(job.seq, webhook.seq))
        made = db.execute("SELECT webhook FROM deliveries WHERE redelivery_of IS NOT NULL").fetchall()
        assert made == [(next_to_last.seq,)]


async def test_an_inactive_tenant_pauses_it(store: Store) -> None:
    scene = await down(store)
    job = await scene.start()
    await scene.until(job, lambda seen: seen.redelivered == MOST_WAITING)
    await store.actor.execute(UpdateTenant(scene.tenant.seq, active=False), PATIENCE)
    with pytest.raises(TenantInactive):
        await scene.start()
    assert (await scene.look(job)).status == "running"
    await store.actor.execute(UpdateTenant(scene.tenant.seq, active=True), PATIENCE)
    assert (await scene.run(job)).succeeded == EVENTS


async def test_a_removed_tenants_recoveries_go_with_it_and_anothers_cannot_be_seen(path: Path) -> None:
    async with running(path) as store:
        scene = await down(store)
        job = await scene.start()
        await scene.until(job, lambda seen: seen.redelivered > 0)
        other = await store.tenant("other")
        with pytest.raises(NotFound):
            await store.actor.execute(CancelRecovery(other.seq, job.id), PATIENCE)
        with pytest.raises(NotFound):
            await store.actor.execute(StartRecovery(other.seq, scene.webhook.id, 0, now_ms(), BOTH, None), PATIENCE)
        assert await store.actor.read(recovery_queries.recovery, job.id, other.seq) is None
        wide = StartRecovery(None, None, 0, now_ms(), BOTH, None)
        everybodys = await store.actor.execute(wide, PATIENCE)
        assert await store.actor.read(recovery_queries.recovery, everybodys.id, scene.tenant.seq) is None
        await store.remove(scene.tenant)
        await scene.until(everybodys, lambda seen: seen.status == "completed")
        gone = False
        while not gone:
            assert (await trio.to_thread.run_sync(check, path)).problems == []
            with closing(sqlite3.connect(path)) as db:
                gone = not db.execute("SELECT 1 FROM tenants WHERE removed").fetchone()
        assert await store.actor.read(recovery_queries.recoveries, None, 10, None) == [await scene.look(everybodys)]
    with closing(sqlite3.connect(path)) as db:
        for table in ("recovery_lanes", "recovery_deliveries"):
            assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


async def test_it_waits_for_room_in_the_tenants_backlog_and_leaves_half_to_others(path: Path) -> None:
    async with running(path, Limits(waiting_per_tenant=20)) as store:
        tenant = await store.tenant()
        webhook = await store.webhook(tenant)
        scene = Recovered(store, tenant, webhook)
        for _ in range(3):
            await store.publish(tenant, 20)
            await scene.deliver(ends=failed)
        job = await scene.start()
        await scene.until(job, lambda seen: seen.redelivered == 5)
        await store.publish(tenant, 15)
        seen = await scene.run(job)
        assert (seen.redelivered, seen.succeeded) == (60, 60)


async def test_one_endpoint_that_is_stuck_holds_up_no_other_however_few_may_wait(path: Path) -> None:
    async with running(path, Limits(waiting_per_tenant=20)) as store:
        tenant = await store.tenant()
        stuck, other = await store.webhook(tenant), await store.webhook(tenant)
        scene = Recovered(store, tenant, other)
        for _ in range(4):
            await store.publish(tenant, 10)
            for webhook in (stuck, other):
                await scene.deliver(webhook, ends=failed)
        job = await scene.start(all_webhooks=True)
        await scene.until(job, lambda seen: seen.redelivered == 10)
        delivered = 0
        while delivered < 40:  # nothing of the first is ever attempted
            delivered += await scene.deliver(other)
        assert (await scene.look(job)).status == "running"


async def test_one_endpoint_that_is_stuck_holds_up_no_other(store: Store) -> None:
    scene = await down(store, 300)
    other = await store.webhook(scene.tenant)
    await store.publish(scene.tenant, 5)
    await store.finish(other, *(failed(delivery, at=now_ms()) for delivery in await store.claim(other)))
    job = await scene.start(all_webhooks=True)
    delivered = 0
    while delivered < 5:  # nothing of the first is ever attempted
        delivered += await scene.deliver(other)
    assert (await scene.look(job)).status == "running"


async def test_a_storage_that_fails_amid_loses_and_doubles_nothing(store: Store, path: Path) -> None:
    scene = await down(store)
    job = await scene.start()
    await scene.until(job, lambda seen: seen.redelivered > 0)
    claimed = await store.claim(scene.webhook)
    async with trio.open_nursery() as nursery:
        with Locked(path):
            nursery.start_soon(store.finish, scene.webhook, *(succeeded(delivery, at=now_ms()) for delivery in claimed))
            while not store.actor.troubles():
                await trio.lowlevel.checkpoint()
    seen = await scene.run(job)
    assert (seen.redelivered, seen.succeeded) == (EVENTS, EVENTS)
    events = await scene.redeliveries()
    assert len(events) == len(set(events))


async def test_a_start_on_a_backup_ends_it_and_sends_nothing(path: Path) -> None:
    async with running(path) as store:
        scene = await down(store)
        job = await scene.start()
        await scene.until(job, lambda seen: seen.redelivered > 0)
    with closing(open_writer(path)) as db:
        db.execute("UPDATE meta SET value = 1 WHERE key = 'copy'")
        recovery.recover(db, now_ms())
    async with running(path) as store:
        scene.store = store
        seen = await scene.until(job, lambda seen: seen.interrupted == seen.redelivered)
        assert seen.status == "cancelled"
        assert store.actor.waits.total() == 0
    assert check(path).problems == []


async def test_too_many_at_once_and_those_for_what_is_inactive_are_refused(path: Path) -> None:
    async with running(path, Limits(waiting_per_tenant=4)) as store:
        scene = await down(store, 4)
        await store.publish(scene.tenant, 4)  # while these wait, none has room
        for _ in range(10):
            await scene.start()
        with pytest.raises(LimitReached, match="cancel"):
            await scene.start()
        assert store.actor.recoveries == 10
        await store.actor.execute(UpdateWebhook(None, scene.webhook.id, active=False), PATIENCE)
        with pytest.raises(WebhookInactive):
            await scene.start()


def test_a_step_over_a_million_failed_deliveries_is_cheap_wherever_it_begins(path: Path) -> None:
    with closing(open_writer(path)) as db:
        fill(db, 1_000_000)
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {WINDOW}", dict.fromkeys(NAMES, 1))]
        assert sum("USING COVERING INDEX deliveries_unsuccessful (webhook=? AND created" in step for step in plan) == 2
        assert any("deliveries_again (event=? AND webhook=? AND rowid>?)" in step for step in plan)
        assert not any("SCAN deliveries" in step for step in plan)
        slowest = 0.0
        for since in (0, 500_000, 999_990):
            job = StartRecovery(1, "w0000001", since, 2_000_000, BOTH, None)
            (begun,) = execute(db, [job], 3_000_000, Limits(), Backlog(), ClockSteps(db)).answers
            for _ in range(3):
                started = time.perf_counter()
                execute(db, [RecoveryStep(begun.seq, 1)], 3_000_000, Limits(), Backlog(), ClockSteps(db))
                slowest = max(slowest, time.perf_counter() - started)
        assert recovery_queries.total(db, Scope(1, 1, 0, 2_000_000, BOTH)) == 1_000_000
        assert not recovery_queries.count(db, Scope(1, 1, 0, 2_000_000, BOTH)).whole
    assert slowest < 0.1


NAMES = ("webhook", "created", "delivery", "until", "last", "cancelled", "rows")


def fill(db: sqlite3.Connection, count: int) -> None:
    """One webhook with so many failed deliveries, one a millisecond, half of them of one event."""
    db.execute("INSERT INTO tenants (id, active, created) VALUES ('acme', 1, 1)")
    db.execute(
        """INSERT INTO webhooks (id, tenant, url, events, active, created, updated)
           VALUES ('w0000001', 1, 'https://example.com/', '[]', 1, 1, 1)"""
    )
    db.execute("BEGIN")
    db.execute(
        """WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
           INSERT INTO events (id, tenant, type, created, deliveries, payload)
           SELECT 'evt_' || i, 1, 'onboard.session.completed', i, 1, '{}' FROM n""",
        (count // 2,),
    )
    db.execute(
        """WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
           INSERT INTO deliveries (id, event, webhook, tenant, event_type, status, created, started, finished, error,
               redelivery_of)
           SELECT 'dlv_' || i, iif(i <= ?1 / 2, i, 1), 1, 1, 'onboard.session.completed', 'failed', i, i, i,
               'http_status', iif(i <= ?1 / 2, NULL, 'dlv_1') FROM n""",
        (count,),
    )
    db.execute("COMMIT")


async def test_retention_deletes_no_event_whose_redelivery_is_not_counted_yet(path: Path) -> None:
    async with running(path) as store:
        scene = await down(store, 1)
        job = await scene.start()
        await scene.until(job, lambda seen: seen.redelivered == 1)
    with closing(open_writer(path)) as db:
        db.execute("UPDATE deliveries SET status = 'succeeded', finished = 2000 WHERE status = 'pending'")
        before, *_ = deletion.window(db, Place(), 10, 10)[::-1]
        execute(db, [RecoveryStep(job.seq, scene.webhook.seq)], now_ms(), Limits(), Backlog(), ClockSteps(db))
        after, *_ = deletion.window(db, Place(), 10, 10)[::-1]
        assert (before.finished, after.finished) == (None, 2000)
        found = recovery_queries.recovery(db, job.id, None)
        assert found is not None
        assert (found.status, found.succeeded) == ("completed", 1)


async def test_what_has_ended_is_forgotten_when_nothing_older_is_kept_and_not_before(path: Path) -> None:
    async with running(path) as store:
        scene = await down(store, 2)
        ended = await scene.run(await scene.start())
        await store.publish(scene.tenant)
    with closing(open_writer(path)) as db:
        later = now_ms() + 2 * 86_400_000
        execute(db, [ForgetRecoveries()], later, Limits(), Backlog(), ClockSteps(db))
        assert recovery_queries.recovery(db, ended.id, None) == ended
        db.execute("DELETE FROM deliveries WHERE redelivery_of IS NULL AND status = 'failed'")
        execute(db, [ForgetRecoveries()], now_ms(), Limits(), Backlog(), ClockSteps(db))
        assert recovery_queries.recovery(db, ended.id, None) == ended
        execute(db, [ForgetRecoveries()], later, Limits(), Backlog(), ClockSteps(db))
        assert recovery_queries.recovery(db, ended.id, None) is None


def test_forgetting_looks_at_a_few_jobs_at_a_time_and_comes_to_all(path: Path) -> None:
    with closing(open_writer(path)) as db:
        db.execute(
            """WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
               INSERT INTO recoveries (id, since, until, statuses, last_delivery, status, created, finished)
               SELECT 'rcv_' || i, 0, 1, '[]', 0, 'completed', 1, iif(i > 990, 1, 9e12) FROM n"""
        )
        now, after, rounds = 10 * 86_400_000, 0, 0
        while after or not rounds:
            done = execute(db, [ForgetRecoveries(after)], now, Limits(), Backlog(), ClockSteps(db))
            found = done.effects.recoveries.looked_through
            assert found is not None
            assert found - after <= 200
            after, rounds = found, rounds + 1
        assert db.execute("SELECT count(*), max(seq) FROM recoveries").fetchone() == (990, 990)


async def test_one_that_fails_again_before_its_next_failed_delivery_is_met_is_not_redelivered_for_that(
    store: Store,
) -> None:
    scene = await down(store, MOST_WAITING)
    for delivery in (await store.actor.read(searching.deliveries, DeliveryFilter(), 1000, None)).rows:
        await store.actor.execute(Redeliver(None, delivery.id), PATIENCE)
    while await scene.deliver(ends=failed):
        pass
    job = await scene.start()
    while (await scene.look(job)).status == "running":
        await scene.deliver(ends=failed)
    seen = await scene.look(job)
    assert (seen.examined, seen.redelivered, seen.failed) == (2 * MOST_WAITING, MOST_WAITING, MOST_WAITING)
