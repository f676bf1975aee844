"""Work that is expected is claimed before it is offered; what does not come after all takes nothing from anybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stand_ins import running
from trio.testing import wait_all_tasks_blocked

from daemon.settings import DeliverySettings

if TYPE_CHECKING:
    from trio.testing import MockClock


async def test_what_is_expected_of_a_prompt_webhook_is_attempted_without_an_offer(autojump_clock: MockClock) -> None:
    async with running() as stage:
        stage.store.add_webhook(1, 1)
        stage.publish(1)
        await stage.settled()
        stage.router.expect(stage.store.accept(1))
        await stage.settled()
        assert stage.network.sent(1) == 2


async def test_what_is_expected_of_a_webhook_that_is_slow_or_new_waits_for_its_offer(autojump_clock: MockClock) -> None:
    async with running(DeliverySettings(timeout=2)) as stage:
        stage.store.add_webhook(1, 1, "http://hangs.example/")
        stage.store.add_webhook(1, 2)
        stage.publish(1)
        await stage.settled()
        steps = len(stage.store.steps)
        work = [stage.store.accept(webhook) for webhook in (1, 2)]
        for expected in work:
            stage.router.expect(expected)
        await wait_all_tasks_blocked()
        assert len(stage.store.steps) == steps
        for offered in work:
            stage.router.offer(offered)
        await stage.settled()
        assert (stage.network.sent(1), stage.network.sent(2)) == (2, 1)


async def test_what_does_not_come_after_all_holds_no_slot(autojump_clock: MockClock) -> None:
    async with running(DeliverySettings(max_concurrent=4, max_concurrent_per_tenant=4)) as stage:
        for webhook in (1, 2):
            stage.store.add_webhook(webhook, webhook)
            stage.publish(webhook)
        await stage.settled()
        for _ in range(50):
            stage.router.expect({1: {1: 3}})
            await wait_all_tasks_blocked()
        stage.publish(1)
        stage.publish(2, 8)
        await stage.settled()
        assert (stage.network.sent(1), stage.network.sent(2)) == (2, 9)
        assert stage.network.most["webhook", 2] == 4
