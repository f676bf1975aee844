"""Attempts of a backlog, and slow ones, that end nearly together are recorded together; nobody waits long for that."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import httpx
import pytest
import trio
from stand_ins import Stage, running
from trio.testing import wait_all_tasks_blocked

from daemon.delivery.beat import BEAT, next_beat
from daemon.delivery.tenant import BESIDE_OTHERS, GATHER
from daemon.settings import DeliverySettings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio.testing import MockClock

SLOTS = DeliverySettings(max_concurrent_per_webhook=16)


async def test_attempts_of_a_backlog_that_end_within_a_moment_travel_in_one_step(autojump_clock: MockClock) -> None:
    numbers = count()

    async def answer(*_: object) -> httpx.Response:
        await trio.sleep(0.01 + next(numbers) % 16 * GATHER / 20)
        return httpx.Response(200)

    async with running(SLOTS) as stage:
        stage.network.hosts["many"] = answer
        stage.store.add_webhook(1, 1, "http://many.example/")
        stage.publish(1, 320)
        await stage.settled()
        assert len(stage.store.steps) <= 320 / 16 * 4


async def test_a_slot_that_came_free_does_not_wait_for_attempts_that_last(autojump_clock: MockClock) -> None:
    numbers = count()

    async def answer(*_: object) -> httpx.Response:
        await trio.sleep(0.01 if next(numbers) % 16 == 0 else 10)
        return httpx.Response(200)

    async with running(SLOTS) as stage:
        stage.network.hosts["mixed"] = answer
        stage.store.add_webhook(1, 1, "http://mixed.example/")
        stage.publish(1, 100)
        await stage.until(lambda: len(stage.network.requests) == 16)
        began = trio.current_time()
        await stage.until(lambda: len(stage.network.requests) == 17)
        assert trio.current_time() - began <= 0.01 + GATHER + 0.0001


async def test_another_webhooks_event_does_not_wait_while_a_backlog_gathers(autojump_clock: MockClock) -> None:
    numbers = count()

    async def answer(*_: object) -> httpx.Response:
        await trio.sleep(0.01 if next(numbers) % 16 == 0 else 10)
        return httpx.Response(200)

    async with running(SLOTS) as stage:
        stage.network.hosts["mixed"] = answer
        stage.store.add_webhook(1, 1, "http://mixed.example/")
        stage.store.add_webhook(1, 2)
        stage.publish(1, 100)
        await stage.until(lambda: len(stage.network.requests) == 16)
        await trio.sleep(0.01 + GATHER / 2)
        began = trio.current_time()
        stage.publish(2)
        await stage.until(lambda: stage.network.sent(2) == 1)
        assert trio.current_time() == began


def most_claimed(stage: Stage, tenant: int) -> int:
    """In one step of the tenant."""
    steps = [step for step in stage.store.steps if step.tenant == tenant]
    return max(sum(claim.limit for claim in step.claims) for step in steps)


@pytest.mark.parametrize("alone", [True, False])
async def test_a_backlog_takes_its_slots_a_few_at_a_time_only_beside_another_tenants_deliveries(
    alone: bool, autojump_clock: MockClock
) -> None:
    async with running(DeliverySettings(max_concurrent_per_webhook=64)) as stage:
        stage.network.hosts["many"] = ends_after(0.02)
        stage.network.hosts["lasts"] = ends_after(0.5)
        stage.store.add_webhook(1, 1, "http://many.example/")
        stage.store.add_webhook(2, 2, "http://lasts.example/")
        if not alone:
            stage.publish(2)
            await stage.until(lambda: stage.network.sent(2) == 1)
        stage.publish(1, 640)
        await stage.until(lambda: stage.network.running["all", None] == 64 + (not alone))
        await stage.settled()
        assert most_claimed(stage, 1) == (64 if alone else BESIDE_OTHERS)


def ends_after(seconds: float) -> Callable[..., Awaitable[httpx.Response]]:
    async def answer(*_: object) -> httpx.Response:
        await trio.sleep(seconds)
        return httpx.Response(200)

    return answer


async def slow_ones(stage: Stage, count: int = 6) -> float:
    """So many tenants have an attempt that has just ended, slowly, at a moment of its own. Returns when the next beat
    is."""
    beat = next_beat(trio.current_time() + 3) + BEAT
    for tenant in range(1, count + 1):
        stage.network.hosts[f"slow-{tenant}"] = ends_after(beat - 0.9 * BEAT - trio.current_time() + tenant * 1e-4)
        stage.store.add_webhook(tenant, tenant, f"http://slow-{tenant}.example/")
        stage.publish(tenant)
    await stage.until(lambda: len(stage.network.requests) == count)
    await trio.sleep_until(beat - 0.8 * BEAT)
    assert stage.network.running["all", None] == 0
    return beat


async def test_outcomes_of_many_tenants_slow_attempts_travel_at_one_moment(autojump_clock: MockClock) -> None:
    async with running(SLOTS) as stage:
        beat = await slow_ones(stage)
        assert stage.store.count("sending") == 6
        await stage.settled()
        assert stage.store.step_times[-6:] == [pytest.approx(beat)] * 6


async def test_slow_outcomes_come_along_with_a_commit_that_is_made_anyway_a_few_at_a_time(
    autojump_clock: MockClock,
) -> None:
    async with running(SLOTS) as stage:
        await slow_ones(stage)
        began = trio.current_time()
        for recorded in (4, 6):
            assert stage.router.board()
            await wait_all_tasks_blocked()
            assert stage.store.count("succeeded") == recorded
        assert not stage.router.board()
        assert trio.current_time() == began


async def test_a_slow_webhooks_turn_waits_for_a_commit_that_is_made_anyway_or_for_the_beat(
    autojump_clock: MockClock,
) -> None:
    async with running(DeliverySettings(timeout=3)) as stage:
        stage.store.add_webhook(1, 1, "http://hangs.example/")
        stage.publish(1)
        await stage.settled()
        for boarded in (True, False):
            beat = next_beat(trio.current_time()) + BEAT
            await trio.sleep_until(beat - BEAT * 0.8)
            began, steps = trio.current_time(), len(stage.store.steps)
            stage.publish(1)
            await wait_all_tasks_blocked()
            assert len(stage.store.steps) == steps
            if boarded:
                assert stage.router.board()
            await stage.until(lambda: stage.store.count("sending") == 1)
            assert stage.store.step_times[-1] == pytest.approx(began if boarded else beat)
            await stage.settled()


async def test_work_of_a_webhook_that_nobody_knows_to_be_slow_waits_for_no_beat(autojump_clock: MockClock) -> None:
    async with running(SLOTS) as stage:
        stage.network.hosts["lasts"] = ends_after(0.5)
        for webhook in (1, 2):
            stage.store.add_webhook(webhook, webhook, "http://lasts.example/")
        await trio.sleep_until(next_beat(trio.current_time()) + BEAT / 10)
        began = trio.current_time()
        stage.publish(1)
        await stage.until(lambda: stage.network.sent(1) == 1)
        stage.publish(1)
        stage.publish(2, 40)
        await stage.until(lambda: stage.network.sent(1) == 2 and stage.network.sent(2) > 0)
        assert trio.current_time() == began


async def test_a_slot_handed_over_is_used_at_once(autojump_clock: MockClock) -> None:
    """A tenant whose webhook is slow waits for the only slot there is, and not for a beat when it has it."""
    async with running(DeliverySettings(max_concurrent=1, timeout=2)) as stage:
        stage.store.add_webhook(1, 1, "http://hangs.example/")
        stage.store.add_webhook(2, 2, "http://lasts.example/")
        stage.network.hosts["lasts"] = ends_after(0.123)
        stage.publish(1)
        await stage.settled()
        stage.publish(2)
        await stage.until(lambda: stage.network.sent(2) == 1)
        stage.publish(1)
        ended = trio.current_time() + 0.123
        await stage.until(lambda: stage.network.sent(1) == 2)
        assert stage.network.times[-1] == pytest.approx(ended)


async def test_neither_a_prompt_outcome_nor_new_work_waits_with_a_slow_one(autojump_clock: MockClock) -> None:
    async with running(SLOTS) as stage:
        await slow_ones(stage, 1)
        began = trio.current_time()
        stage.store.add_webhook(1, 2)
        stage.publish(2)
        await stage.until(lambda: stage.store.count("succeeded") == 1)
        assert trio.current_time() == began
        await stage.until(lambda: stage.store.count("succeeded") == 2)
        assert trio.current_time() == began + stage.network.pace


async def test_a_drain_does_not_wait_for_the_beat(autojump_clock: MockClock) -> None:
    async with running(SLOTS) as stage:
        await slow_ones(stage)
        began = trio.current_time()
        await stage.drained()
        assert trio.current_time() == began
        assert stage.store.count("succeeded") == 6
