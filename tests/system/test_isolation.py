"""One tenant cannot slow another, nor one webhook another of the same tenant (CONTRACT §8.4).

Each test measures how long events take to arrive when the daemon has nothing else to do, and again beside endpoints
that hang for longer than the test lasts: whoever had to wait for one of them would be late by far more than the bound.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import trio
from harness.events import session_event
from harness.receiver import never_answers

if TYPE_CHECKING:
    from harness.api import Api
    from harness.receiver import Receiver
    from harness.starting import Daemons, Receivers

EVENTS = 40
HANGING = 60
BACKLOGGED, UNTRIED = 48, 56
"""How many of a tenant's 64 slots webhooks may take that have never answered: with a backlog and without."""
SETTINGS = {"delivery": {"timeout": HANGING, "drain_timeout": 1}}


async def arrival_times(caller: Api, receiver: Receiver) -> list[float]:
    """Publish events one after the other: seconds from each request's start to the event's arrival."""
    times: list[float] = []
    for number in range(EVENTS):
        before, already = trio.current_time(), len(receiver.requests)
        await caller.publish(session_event(f"s-{number}"))
        arrived = await receiver.arrived(already + 1)
        times.append(arrived[already].at - before)
    return times


def assert_served_as_if_alone(alone: list[float], beside: list[float]) -> None:
    """As fast as before but for noise; the worst of all is far below what waiting for a hanging endpoint costs."""
    report = f"alone {alone}\nbeside {beside}"
    assert statistics.median(beside) < 3 * statistics.median(alone) + 0.05, report
    assert max(beside) < max(alone) + 1, report


async def test_64_hanging_webhooks_of_one_tenant_do_not_delay_another(daemons: Daemons, receivers: Receivers) -> None:
    daemon = await daemons.start(SETTINGS)
    healthy, hanging = await receivers.start(), await receivers.start(never_answers)
    good, bad = await daemon.tenant("good"), await daemon.tenant("bad")
    await good.register(healthy.url)
    alone = await arrival_times(good, healthy)
    for _ in range(64):
        await bad.register(hanging.url)
    await bad.publish(*[session_event(f"s-{n}") for n in range(20)])
    await hanging.arrived(BACKLOGGED)
    assert_served_as_if_alone(alone, await arrival_times(good, healthy))
    assert len(hanging.requests) <= UNTRIED, "no more at a time than a tenant's untried webhooks may have"


async def test_64_hanging_webhooks_do_not_delay_a_healthy_one_of_the_same_tenant(
    daemons: Daemons, receivers: Receivers
) -> None:
    daemon = await daemons.start(SETTINGS)
    healthy, hanging = await receivers.start(), await receivers.start(never_answers)
    acme = await daemon.tenant()
    await acme.register(healthy.url)
    alone = await arrival_times(acme, healthy)
    for _ in range(64):
        await acme.register(hanging.url)
    await acme.publish(*[session_event(f"s-{n}") for n in range(20)])
    await hanging.arrived(BACKLOGGED)
    await healthy.arrived(EVENTS + 20)
    assert_served_as_if_alone(alone, await arrival_times(acme, healthy))
    assert len(hanging.requests) <= UNTRIED, "the rest is open to prompt webhooks alone"


async def test_a_hanging_webhook_does_not_delay_a_healthy_one_beside_it(daemons: Daemons, receivers: Receivers) -> None:
    daemon = await daemons.start(SETTINGS)
    healthy, hanging = await receivers.start(), await receivers.start(never_answers)
    acme = await daemon.tenant()
    await acme.register(healthy.url)
    alone = await arrival_times(acme, healthy)
    await acme.register(hanging.url)
    await acme.publish(*[session_event(f"s-{n}") for n in range(200)])
    await hanging.arrived(16)
    await healthy.arrived(EVENTS + 200)
    assert_served_as_if_alone(alone, await arrival_times(acme, healthy))
    assert len(hanging.requests) == 16, "no more at a time than a webhook may have"


async def test_many_hanging_tenants_that_fill_their_part_do_not_delay_one_more(
    daemons: Daemons, receivers: Receivers
) -> None:
    tenants, of_each, slots = 10, 64, 352
    daemon = await daemons.start(
        {"delivery": {**SETTINGS["delivery"], "max_concurrent": slots, "max_concurrent_per_tenant": of_each}}
    )
    healthy, hanging = await receivers.start(), await receivers.start(never_answers)
    good = await daemon.tenant("good")
    await good.register(healthy.url)
    alone = await arrival_times(good, healthy)
    for number in range(tenants):
        bad = await daemon.tenant(f"bad-{number}")
        for _ in range(4):
            await bad.register(hanging.url)
        await bad.publish(*[session_event(f"s-{n}") for n in range(16)])
    await hanging.arrived(slots * 3 // 4)
    assert_served_as_if_alone(alone, await arrival_times(good, healthy))
    assert len(hanging.requests) <= slots * 3 // 4 + tenants * 8
