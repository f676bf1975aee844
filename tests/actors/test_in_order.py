"""A webhook's own limits: in order where that is asked for, and nobody else is slowed by it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import trio
from msgspec import structs
from stand_ins import running, sent_headers

from daemon.egress.faults import LocalFault
from daemon.settings import DeliverySettings

if TYPE_CHECKING:
    from stand_ins import Stage
    from trio.testing import MockClock

    from daemon.egress.exchange import Exchange


def arrivals(stage: Stage, webhook: int) -> list[int]:
    return [
        int(sent_headers(request)["webhook-id"].removeprefix("evt_"))
        for request in stage.network.requests
        if request.extensions["exchange"].key == webhook
    ]


async def test_in_order_each_attempt_begins_when_the_one_before_it_has_ended(autojump_clock: MockClock) -> None:
    async with running() as stage:
        stage.store.add_webhook(1, 1)
        stage.store.limits[1] = 1
        stage.publish(1, 50)
        await stage.settled()
        assert stage.network.most["webhook", 1] == 1
        assert arrivals(stage, 1) == list(range(1, 51))
        assert max(stage.network.times) - min(stage.network.times) < 51 * stage.network.pace


async def test_an_attempt_that_is_postponed_keeps_its_place(autojump_clock: MockClock) -> None:
    faults = iter([True, False, True, True])

    def answer(request: httpx.Request, exchange: Exchange) -> httpx.Response:
        if next(faults, False):
            raise LocalFault("no descriptor")
        exchange.wrote = True
        return httpx.Response(200)

    async with running() as stage:
        stage.network.hosts["odd"] = answer
        stage.store.add_webhook(1, 1, "http://odd.example/")
        stage.store.limits[1] = 1
        stage.publish(1, 4)
        await stage.settled()
        assert arrivals(stage, 1) == [1, 1, 2, 2, 2, 3, 4]


async def test_another_webhook_is_not_slowed_by_one_in_order_that_hangs(autojump_clock: MockClock) -> None:
    async with running() as stage:
        stage.store.add_webhook(1, 1, "http://hangs.example/")
        stage.store.add_webhook(1, 2)
        stage.store.limits[1] = 1
        stage.publish(1, 100)
        began = trio.current_time()
        stage.publish(2, 200)
        await stage.until(lambda: stage.network.sent(2) == 200)
        assert trio.current_time() - began < 1
        assert stage.network.most["webhook", 1] == 1


async def test_a_limit_is_never_exceeded_by_an_actor_that_is_new_or_has_not_heard_of_it(
    autojump_clock: MockClock,
) -> None:
    async with running() as stage:
        stage.store.add_webhook(1, 1)
        stage.store.limits[1] = 2
        for _ in range(3):
            stage.publish(1, 20)
            await stage.settled()
            await trio.sleep(3)
            assert stage.router.actors == 0
        assert stage.network.most["webhook", 1] == 2


async def test_a_limit_that_changes_holds_from_the_next_claim(autojump_clock: MockClock) -> None:
    async with running(DeliverySettings(max_concurrent_per_webhook=8)) as stage:
        stage.store.add_webhook(1, 1)
        stage.network.pace = 0.5
        stage.publish(1, 100)
        await stage.until(lambda: stage.network.sent(1) == 8)
        stage.store.limits[1] = 1
        await stage.until(lambda: stage.network.sent(1) >= 12)
        stage.network.most.clear()
        await stage.until(lambda: stage.network.sent(1) >= 16)
        assert stage.network.most["webhook", 1] == 1
        stage.store.limits[1] = 5
        await stage.until(lambda: stage.network.sent(1) >= 40)
        assert stage.network.most["webhook", 1] == 5
        del stage.store.limits[1]
        await stage.settled()
        assert stage.network.most["webhook", 1] == 8


async def test_a_time_limit_of_its_own_ends_an_attempt(autojump_clock: MockClock) -> None:
    async with running(DeliverySettings(timeout=15)) as stage:
        for webhook, timeout in ((1, 1.5), (2, 30.0), (3, None)):
            stage.store.add_webhook(webhook, webhook, "http://hangs.example/")
            stage.store.endpoints[webhook] = structs.replace(stage.store.endpoints[webhook], timeout=timeout)
            stage.publish(webhook)
        await stage.settled()
        took = [stage.store.step_times[-1 - back] - stage.store.step_times[0] for back in reversed(range(3))]
        assert [round(seconds, 1) for seconds in took] == [1.5, 15.0, 30.0]
        assert {outcome.error for outcome in stage.store.outcomes.values()} == {"response_timeout"}
