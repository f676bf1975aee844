"""Draining and dying: what was written is interrupted, what was not is pending again, nothing is sent twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from stand_ins import Stage, running

from daemon.delivery.tenant import IDLE
from daemon.settings import DeliverySettings

if TYPE_CHECKING:
    import httpx
    from recorded_log import RecordedLog
    from trio.testing import MockClock

    from daemon.egress.exchange import Exchange


async def test_drain_lets_running_attempts_finish_and_claims_no_more(autojump_clock: MockClock) -> None:
    async with running() as stage:
        stage.store.add_webhook(1, 1, "http://slow.example/")
        stage.publish(1, 40)
        await stage.until(lambda: stage.router.in_flight == 16)
        began = trio.current_time()
        await stage.drained(patience=20)
        assert trio.current_time() - began <= 1.0
        assert (stage.store.count("succeeded"), stage.store.count("pending")) == (16, 24)
        assert not any(step.claims for step in stage.store.steps[1:])


async def test_at_the_deadline_written_attempts_are_interrupted_and_unwritten_ones_pending(
    autojump_clock: MockClock, log: RecordedLog
) -> None:
    async with running(DeliverySettings(timeout=100)) as stage:
        for webhook, host in enumerate(["hangs", "stuck", "good"], start=1):
            stage.store.add_webhook(1, webhook, f"http://{host}.example/")
            stage.publish(webhook, 3)
        await stage.until(lambda: stage.store.count("succeeded") == 3)
        began = trio.current_time()
        steps = len(stage.store.steps)
        await stage.drained(patience=20)
        assert trio.current_time() - began == pytest.approx(20)
        assert [stage.store.states[seq] for seq in range(1, 10)] == (
            ["interrupted"] * 3 + ["pending"] * 3 + ["succeeded"] * 3
        )
        assert len(stage.store.steps) == steps + 1
    assert stage.counts.interruptions == 3
    assert stage.counts.postponements == 3
    assert len(stage.counts.attempts) == 3
    assert sorted(line["delivery"] for line in log.lines("delivery.interrupted")) == ["dlv_1", "dlv_2", "dlv_3"]
    assert sorted(line["delivery"] for line in log.lines("delivery.postponed")) == ["dlv_4", "dlv_5", "dlv_6"]
    outcome = stage.store.outcomes[1]
    assert (outcome.error, outcome.status_code) == (None, None)
    assert outcome.started <= outcome.finished


@pytest.mark.parametrize(("wrote", "state"), [(False, "pending"), (True, "interrupted")])
async def test_an_attempt_that_waits_in_a_nursery_is_cut_short_like_any_other(
    autojump_clock: MockClock, wrote: bool, state: str
) -> None:
    async def answer(request: httpx.Request, exchange: Exchange) -> httpx.Response:
        exchange.wrote = wrote
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            await trio.sleep_forever()
        raise AssertionError("it was cancelled")

    async with running(DeliverySettings(timeout=100)) as stage:
        stage.network.hosts["racing"] = answer
        stage.store.add_webhook(1, 1, "http://racing.example/")
        stage.publish(1)
        await stage.until(lambda: len(stage.network.requests) == 1)
        await stage.drained(patience=20)
        assert stage.store.states == {1: state}


async def test_an_attempt_cut_short_after_the_status_line_ends_as_that_says(autojump_clock: MockClock) -> None:
    async with running(DeliverySettings(timeout=100)) as stage:
        stage.store.add_webhook(1, 1, "http://drips.example/")
        stage.publish(1, 1)
        await stage.until(lambda: stage.router.in_flight == 1)
        await stage.drained(patience=20)
    outcome = stage.store.outcomes[1]
    assert (outcome.status, outcome.status_code, outcome.response_body_truncated) == ("succeeded", 204, True)


async def test_what_a_claim_brings_after_the_drain_began_goes_back_to_pending(autojump_clock: MockClock) -> None:
    async with running() as stage:
        stage.store.latency = 0.5
        stage.store.add_webhook(1, 1)
        stage.publish(1, 5)
        await trio.sleep(0.1)
        await stage.drained(patience=20)
        assert stage.store.count("pending") == 5
        assert stage.network.requests == []


async def test_a_drain_waits_for_a_slow_store(autojump_clock: MockClock) -> None:
    async with running() as stage:
        stage.store.add_webhook(1, 1)
        stage.publish(1, 5)
        await stage.until(lambda: len(stage.network.requests) == 5)
        stage.store.gate = gate = trio.Event()
        await trio.sleep(1)
        stage.router.drain(trio.current_time())
        await trio.sleep(60)
        assert not stage.ended.is_set()
        stage.store.gate = None
        gate.set()
        await stage.drained()
        assert stage.store.count("succeeded") == 5


async def test_a_drain_does_not_wait_for_claims_that_a_failing_store_keeps(autojump_clock: MockClock) -> None:
    async with running() as stage:
        stage.store.gate = trio.Event()
        stage.store.add_webhook(1, 1)
        stage.publish(1, 5)
        await trio.sleep(1)
        assert len(stage.store.steps) == 1
        await stage.drained()
        assert stage.store.count("pending") == 5
        assert stage.network.requests == []


async def test_tenants_that_wait_for_slots_do_not_hold_up_a_drain(autojump_clock: MockClock) -> None:
    async with running(DeliverySettings(max_concurrent=4)) as stage:
        for tenant in range(1, 50):
            stage.store.add_webhook(tenant, tenant, "http://slow.example/")
            stage.publish(tenant, 5)
        await stage.until(lambda: stage.router.in_flight == 4)
        await stage.drained(patience=20)
        assert stage.store.count("succeeded") == 4
        assert stage.store.count("sending") == 0


async def test_offers_while_draining_are_left_on_disk(autojump_clock: MockClock) -> None:
    async with running() as stage:
        stage.store.add_webhook(1, 1, "http://slow.example/")
        stage.store.add_webhook(2, 2)
        stage.publish(1)
        await stage.until(lambda: stage.router.in_flight == 1)
        stage.router.drain(trio.current_time() + 20)
        stage.publish(1)
        stage.publish(2)
        with trio.fail_after(5):
            await stage.ended.wait()
        assert (stage.store.count("succeeded"), stage.store.count("pending")) == (1, 2)


async def test_of_two_drains_the_earlier_deadline_counts(autojump_clock: MockClock) -> None:
    async with running(DeliverySettings(timeout=100)) as stage:
        stage.store.add_webhook(1, 1, "http://hangs.example/")
        stage.publish(1)
        await stage.until(lambda: stage.router.in_flight == 1)
        stage.router.drain(trio.current_time() + 20)
        stage.router.drain(trio.current_time() + 3)
        stage.router.drain(trio.current_time() + 50)
        began = trio.current_time()
        await stage.ended.wait()
        assert trio.current_time() - began == pytest.approx(3)


async def test_drained_before_it_starts_it_ends_at_once(autojump_clock: MockClock) -> None:
    stage = Stage(DeliverySettings())
    stage.store.add_webhook(1, 1)
    stage.publish(1)
    stage.router.drain(trio.current_time() + 20)
    with trio.fail_after(1):
        await stage.router.run()
    assert stage.store.states == {1: "pending"}
    assert stage.store.steps == []


async def test_postponed_deliveries_are_pending_again_though_the_pause_runs_at_the_drain(
    autojump_clock: MockClock,
) -> None:
    async with running() as stage:
        stage.store.latency = 0.05
        stage.store.add_webhook(1, 1, "http://broke.example/")
        stage.publish(1, 20)
        await stage.until(lambda: len(stage.network.requests) > 40)
        await stage.drained(patience=20)
        assert stage.store.count("pending") == 20
        assert stage.store.count("sending") == 0


@pytest.mark.parametrize("moment", [0.0, 0.005, 0.01, 0.1, 0.15, IDLE, IDLE + 0.2])
async def test_cancelled_it_ends_at_once_and_never_sends_twice(autojump_clock: MockClock, moment: float) -> None:
    stage = Stage(DeliverySettings())
    stage.store.latency = 0.005
    for webhook, host in enumerate(["good", "slow", "hangs", "broke", "stuck"], start=1):
        stage.store.add_webhook(webhook % 2, webhook, f"http://{host}.example/")
        stage.publish(webhook, 30)
    with trio.move_on_after(moment):
        await stage.router.run()
    assert stage.router.in_flight == 0
    for seq, row in stage.store.rows.items():
        if stage.store.states[seq] == "pending" and row.webhook != 4:
            assert stage.store.claims[seq] == 0
        assert stage.store.claims[seq] <= 1 or row.webhook == 4


async def test_a_bug_in_the_store_ends_the_run(autojump_clock: MockClock) -> None:
    stage = Stage(DeliverySettings())
    stage.store.add_webhook(1, 1)
    stage.publish(1)
    del stage.store.endpoints[1]
    with pytest.raises(BaseExceptionGroup) as raised:
        await stage.router.run()
    assert raised.group_contains(KeyError)


async def test_a_bug_in_what_follows_an_attempt_ends_the_run(autojump_clock: MockClock) -> None:
    stage = Stage(DeliverySettings())
    stage.store.add_webhook(1, 1, "http://slow.example/")
    stage.store.add_webhook(2, 2)
    stage.publish(1)
    stage.publish(2)
    stage.counts.attempts = None
    with trio.fail_after(5), pytest.raises(BaseExceptionGroup) as raised:
        await stage.router.run()
    assert raised.group_contains(AttributeError)
    assert stage.store.states[1] == "sending"
