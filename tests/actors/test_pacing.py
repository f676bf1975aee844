"""Slow attempts that end in a burst begin again in turns: others are not delayed, no slot is wasted, none forgotten."""

from __future__ import annotations

from functools import partial
from math import ceil
from typing import TYPE_CHECKING

import httpx
import pytest
import trio
from stand_ins import Stage, running

from daemon.delivery.beat import BEAT
from daemon.delivery.pace import SPREAD
from daemon.delivery.tenant import GATHER
from daemon.settings import DeliverySettings

if TYPE_CHECKING:
    from trio.testing import MockClock

TENANTS = range(1, 11)
WEBHOOKS = 12
HANGING = len(TENANTS) * WEBHOOKS
LIMITS = DeliverySettings(max_concurrent=320, max_concurrent_per_webhook=1)
HEALTHY = 100_000


def hang(stage: Stage, backlog: int, host: str = "hangs", tenants: int = 10) -> None:
    """Each webhook of each tenant has work at this moment."""
    for tenant in TENANTS[:tenants]:
        for webhook in range(1000 * tenant, 1000 * tenant + WEBHOOKS):
            stage.store.add_webhook(tenant, webhook, f"http://{host}.example/")
            stage.publish(webhook, backlog)


def arrived(stage: Stage, webhook: int, number: int) -> bool:
    return stage.network.sent(webhook) == number


async def hung(stage: Stage, backlog: int) -> None:
    """Until the first round of attempts that hang has ended."""
    others = stage.network.running["all", None]
    hang(stage, backlog)
    await trio.sleep(LIMITS.timeout - 0.5)
    assert stage.router.in_flight - others == HANGING
    await stage.until(lambda: stage.router.in_flight - others < HANGING / 2, seconds=1)


async def test_attempts_that_end_at_one_moment_begin_again_a_few_at_a_time(autojump_clock: MockClock) -> None:
    async with running(LIMITS) as stage:
        await hung(stage, 5)
        await stage.until(lambda: len(stage.network.times) == 2 * HANGING, seconds=LIMITS.timeout)
        assert stage.router.in_flight == HANGING
        # The mean is still on its way to 15 s.
        gap, again = 0.7 * LIMITS.timeout * SPREAD / HANGING, stage.network.times[HANGING + 10 :]
        few = ceil(BEAT / gap) + 1
        assert min(later - earlier for earlier, later in zip(again, again[few:], strict=False)) >= BEAT - 0.001


@pytest.mark.parametrize("tenant", [1, 11])
async def test_a_prompt_webhook_is_served_at_once_while_others_wait_for_their_turns(
    autojump_clock: MockClock, tenant: int
) -> None:
    async with running(LIMITS) as stage:
        for webhook in range(HEALTHY, HEALTHY + 20):
            stage.store.add_webhook(tenant, webhook)
            stage.publish(webhook)
        await stage.settled()
        await hung(stage, 5)
        for webhook in range(HEALTHY, HEALTHY + 20):
            await trio.sleep(0.0217)
            began = trio.current_time()
            stage.publish(webhook, 5)
            await stage.until(partial(arrived, stage, webhook, 2))
            assert trio.current_time() == began
            await stage.until(partial(arrived, stage, webhook, 6))
            assert trio.current_time() - began <= 4 * stage.network.pace + 0.001
        assert stage.router.in_flight < HANGING


async def test_a_prompt_webhook_does_not_wait_while_a_slow_attempt_that_ended_gathers_others(
    autojump_clock: MockClock,
) -> None:
    async with running(LIMITS) as stage:
        stage.store.add_webhook(1, HEALTHY)
        stage.publish(HEALTHY)
        await stage.settled()
        await hung(stage, 5)
        # The second round ends as it began: one by one.
        await trio.sleep(LIMITS.timeout - 1)
        for number in range(5):
            while stage.network.running["tenant", "tenant-1"] == WEBHOOKS:  # noqa: ASYNC110 -- nothing tells of an end before it is gathered
                await trio.sleep(GATHER / 4)
            began = trio.current_time()
            stage.publish(HEALTHY)
            await stage.until(partial(arrived, stage, HEALTHY, number + 2))
            assert trio.current_time() == began
            await trio.sleep(0.1)


@pytest.mark.parametrize(
    ("most", "tenants", "latency", "each"),
    [
        (160, 10, 0.0, 64),
        (160, 10, 0.02, 64),
        (40, 10, 0.02, 64),
        (64, 1, 0.0, 64),
        (64, 1, 0.06, 64),
        (400, 1, 0.0, 400),
    ],
)
async def test_slots_of_slow_webhooks_that_work_are_kept_busy(
    autojump_clock: MockClock, most: int, tenants: int, latency: float, each: int
) -> None:
    async def answer_late(*_: object) -> httpx.Response:
        await trio.sleep(1.5)
        return httpx.Response(200)

    limits = DeliverySettings(
        max_concurrent=most, max_concurrent_per_tenant=each, max_concurrent_per_webhook=each // 16
    )
    async with running(limits) as stage:
        stage.store.latency = latency
        stage.network.hosts["late"] = answer_late
        hang(stage, 120 * each // 64, "late", tenants)
        await trio.sleep(15)
        before = len(stage.network.requests)
        await trio.sleep(24)
        share = min(each, max(8, most * 3 // 4 // tenants))
        held = min(most, tenants * (share - share // 4))
        assert len(stage.network.requests) - before >= 0.95 * held * 24 / (1.5 + 2 * latency)


async def test_slots_are_not_held_while_their_tenants_wait_for_a_turn(autojump_clock: MockClock) -> None:
    """Of 160 slots 120 are open to all: as many as hang."""
    async with running(DeliverySettings(max_concurrent=160, max_concurrent_per_webhook=1)) as stage:
        healthy = range(HEALTHY, HEALTHY + 60)
        for webhook in healthy:
            stage.store.add_webhook(11, webhook)
            stage.publish(webhook)
        await stage.settled()
        await trio.sleep(5)
        hang(stage, 5)
        await trio.sleep(LIMITS.timeout + 0.5)
        assert stage.router.in_flight < 20
        began = trio.current_time()
        for webhook in healthy:
            stage.publish(webhook)
        await stage.until(lambda: all(stage.network.sent(webhook) == 2 for webhook in healthy))
        assert trio.current_time() == began


async def test_what_waits_for_a_turn_is_delivered_once_the_webhooks_answer(autojump_clock: MockClock) -> None:
    async with running(LIMITS) as stage:
        await hung(stage, 5)
        stage.network.hosts["hangs"] = lambda *_: stage.network.answer_well()
        await stage.settled(seconds=LIMITS.timeout + 3)
        assert set(stage.store.claims.values()) == {1}


async def test_a_tenant_that_waits_for_its_turn_with_nothing_under_way_wakes_for_it(autojump_clock: MockClock) -> None:
    async with running(LIMITS) as stage:
        await hung(stage, 1)
        await stage.settled()
        for tenant in TENANTS:
            stage.publish(1000 * tenant)
        began = trio.current_time()
        await stage.until(lambda: len(stage.network.requests) == HANGING + 10, seconds=1)
        assert trio.current_time() - began > 0.1


async def test_tenants_that_wait_for_their_turns_do_not_hold_up_a_drain(autojump_clock: MockClock) -> None:
    async with running(LIMITS) as stage:
        await hung(stage, 5)
        await trio.sleep(0.5)
        sent = len(stage.network.requests)
        await stage.drained(patience=2)
        assert len(stage.network.requests) <= sent + 1
        assert stage.store.count("sending") == 0
