"""Under a backlog attempts that end nearly together are recorded together, and nobody waits long for that."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import httpx
import trio
from stand_ins import running

from daemon.delivery.tenant import GATHER
from daemon.settings import DeliverySettings

if TYPE_CHECKING:
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
