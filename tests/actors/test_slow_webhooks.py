"""Webhooks that hang do not delay a healthy one of the same tenant, and slow ones are not forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
import trio
from stand_ins import Stage, running

from daemon.delivery.promptness import PROMPT
from daemon.delivery.tenant import IDLE
from daemon.settings import DeliverySettings

if TYPE_CHECKING:
    from trio.testing import MockClock

HEALTHY = 1000
HANGING = range(1, 65)


async def tried(stage: Stage) -> None:
    """A healthy webhook whose last event arrived before the tenant's actor retired."""
    stage.store.add_webhook(1, HEALTHY)
    stage.publish(HEALTHY)
    await stage.settled()
    await trio.sleep(IDLE + 0.1)
    assert stage.router.actors == 0


def offer_to_all(stage: Stage, backlog: int, *more: int) -> None:
    """Each hanging webhook and then each of `more` gets work at the same moment."""
    for webhook in HANGING:
        stage.store.add_webhook(1, webhook, "http://hangs.example/")
    for webhook in HANGING:
        stage.store.accept(webhook, backlog)
    for webhook in more:
        stage.store.accept(webhook)
    stage.router.offer({1: dict.fromkeys(HANGING, backlog) | dict.fromkeys(more, 1)})


async def attempted_at_once(stage: Stage, webhook: int) -> bool:
    """Whether an event published now is sent at this instant."""
    already = stage.network.sent(webhook)
    stage.publish(webhook)
    with trio.move_on_after(0.001):
        await stage.until(lambda: stage.network.sent(webhook) > already)
    return stage.network.sent(webhook) > already


@pytest.mark.parametrize("backlog", [1, 60])
async def test_a_healthy_webhook_is_served_at_once_however_long_others_hang(
    autojump_clock: MockClock, backlog: int
) -> None:
    async with running() as stage:
        await tried(stage)
        offer_to_all(stage, backlog)
        for _ in range(150):
            assert await attempted_at_once(stage, HEALTHY)
            await trio.sleep(0.31)
        if backlog > 1:
            assert stage.network.most["webhook", HEALTHY] == 1
            assert stage.network.most["tenant", "tenant-1"] <= 56 + 1
            assert len(stage.network.requests) > 150 + 3 * 48


async def test_a_healthy_webhook_is_served_at_once_when_others_begin_to_hang_at_the_same_moment(
    autojump_clock: MockClock,
) -> None:
    async with running() as stage:
        await tried(stage)
        began = trio.current_time()
        offer_to_all(stage, 30, HEALTHY)
        await stage.until(lambda: stage.network.sent(HEALTHY) == 2, seconds=1)
        assert trio.current_time() == began
        await trio.sleep(14)
        assert len(stage.network.requests) == 2 + 48


async def test_a_new_webhook_is_tried_at_once_beside_others_that_are_known_to_hang(autojump_clock: MockClock) -> None:
    async with running() as stage:
        offer_to_all(stage, 60)
        await trio.sleep(20)
        stage.store.add_webhook(1, HEALTHY)
        for _ in range(100):
            assert await attempted_at_once(stage, HEALTHY)
            await trio.sleep(0.31)


async def test_many_slots_are_a_healthy_webhooks_beside_hanging_ones(autojump_clock: MockClock) -> None:
    async with running() as stage:
        await tried(stage)
        offer_to_all(stage, 60)
        await trio.sleep(40)
        before = stage.network.sent(HEALTHY)
        stage.publish(HEALTHY, 800)
        await stage.until(lambda: stage.network.sent(HEALTHY) == before + 800, seconds=800 / 8 * stage.network.pace)


async def test_webhooks_that_begin_to_hang_leave_the_last_quarter_after_a_second(autojump_clock: MockClock) -> None:
    async with running() as stage:
        await tried(stage)
        for webhook in range(1, 5):
            stage.store.add_webhook(1, webhook)
            stage.publish(webhook)
        await stage.settled()
        for webhook in range(1, 5):
            stage.store.add_webhook(1, webhook, "http://hangs.example/")
            stage.publish(webhook)
        await trio.sleep(PROMPT + 0.1)
        for webhook in range(1, 5):
            stage.publish(webhook, 100)
        await trio.sleep(1)
        assert stage.router.in_flight == 48
        assert await attempted_at_once(stage, HEALTHY)


async def test_webhooks_that_answer_again_may_use_every_slot(autojump_clock: MockClock) -> None:
    async with running() as stage:
        offer_to_all(stage, 40)
        await trio.sleep(20)
        for webhook in HANGING:
            stage.store.add_webhook(1, webhook)
        assert stage.network.most["tenant", "tenant-1"] == 48
        await stage.settled()
        assert stage.network.most["tenant", "tenant-1"] == 64


async def test_a_slow_webhook_that_works_has_its_turn_beside_busy_prompt_ones(autojump_clock: MockClock) -> None:
    async def answer_late(*_: object) -> httpx.Response:
        await trio.sleep(2 * PROMPT)
        return httpx.Response(200)

    async with running(DeliverySettings(max_concurrent_per_tenant=8, max_concurrent_per_webhook=2)) as stage:
        stage.network.hosts["late"] = answer_late
        stage.network.pace = 0.5
        stage.store.add_webhook(1, 1, "http://late.example/")
        for webhook in range(2, 12):
            stage.store.add_webhook(1, webhook)
            stage.publish(webhook, 100)
        await trio.sleep(1)
        stage.publish(1, 10)
        began = trio.current_time()
        await stage.until(lambda: stage.network.sent(1) == 10, seconds=25)
        assert trio.current_time() - began < 25
        assert stage.store.count("pending") > 500
        await stage.settled(seconds=200)


async def test_when_many_tenants_hang_each_leaves_some_of_its_share_to_its_healthy_webhooks(
    autojump_clock: MockClock,
) -> None:
    """Three quarters of 64 each would be more than all that is open to them: 150 of 200."""
    async with running(DeliverySettings(max_concurrent=200)) as stage:
        await tried(stage)
        for tenant in range(1, 7):
            for number in HANGING:
                webhook = 10_000 * tenant + number
                stage.store.add_webhook(tenant, webhook, "http://hangs.example/")
                stage.store.accept(webhook, 20)
            stage.router.offer({tenant: {10_000 * tenant + number: 20 for number in HANGING}})
        await trio.sleep(20)
        for _ in range(60):
            assert await attempted_at_once(stage, HEALTHY)
            await trio.sleep(0.31)
        assert stage.router.in_flight >= 6 * 18
