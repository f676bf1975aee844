"""Whatever receivers, storage and operators do, in any order: one attempt for each delivery, and none forgotten."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import httpx
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_ins import running, sent_headers
from trio.testing import MockClock

from daemon.egress.faults import EgressError, LocalFault
from daemon.settings import DeliverySettings

if TYPE_CHECKING:
    from stand_ins import Stage

    from daemon.egress.exchange import Exchange


def _receiver(random: Random) -> object:
    async def answer(request: httpx.Request, exchange: Exchange) -> httpx.Response:
        await trio.sleep(random.choice([0, 0, 0.001, 0.05]))
        fate = random.random()
        if fate < 0.05:
            raise LocalFault("no descriptor")
        exchange.wrote = True
        if fate < 0.1:
            raise EgressError("connection_lost", "Gone.")
        await trio.sleep(random.choice([0, 0.001, 0.01, 0.3, 2]))
        return httpx.Response(200)

    return answer


async def _history(seed: int, drains: bool) -> None:
    random = Random(seed)
    limits = DeliverySettings(
        max_concurrent=random.randint(1, 24),
        max_concurrent_per_tenant=random.randint(1, 10),
        max_concurrent_per_webhook=random.randint(1, 5),
    )
    written: dict[str, int] = {}
    async with running(limits) as stage:
        stage.network.hosts["any"] = _receiver(random)
        for webhook in range(random.randint(1, 9)):
            stage.store.add_webhook(webhook % random.randint(1, 5), webhook, "http://any.example/")
            if random.random() < 0.4:
                stage.store.limits[webhook] = random.choice([1, 1, 2, 7])
        for _ in range(random.randint(1, 40)):
            stage.store.latency = random.choice([0, 0, 0.003, 0.2, 3])
            webhook = random.choice(list(stage.store.owner))
            if random.random() < 0.3:
                # Early, or of what does not come.
                stage.router.expect({stage.store.owner[webhook]: {webhook: random.choice([1, 3])}})
                await trio.sleep(random.choice([0, 0, 0.003]))
            work = stage.store.accept(webhook, random.choice([1, 1, 2, 30]))
            stage.router.offer(work if random.random() < 0.9 else {tenant: {webhook: 1} for tenant in work})
            await trio.sleep(random.choice([0, 0, 0.001, 0.05, 1.0, 1.2]))
        if drains:
            await stage.drained(patience=random.choice([0, 0.1, 1]), seconds=10)
        else:
            await stage.settled(seconds=2000)
        _check(stage, drains, written)


def _check(stage: Stage, drains: bool, written: dict[str, int]) -> None:
    assert stage.store.count("sending") == 0
    assert drains or stage.store.count("pending") == 0
    for request in stage.network.requests:
        if request.extensions["exchange"].wrote:
            event = sent_headers(request)["webhook-id"]
            written[event] = written.get(event, 0) + 1
    assert all(times == 1 for times in written.values())
    for webhook, most in stage.store.limits.items():
        assert stage.network.most["webhook", webhook] <= most
        if most == 1:
            assert sent_to(stage, webhook) == sorted(sent_to(stage, webhook))
    for seq, state in stage.store.states.items():
        assert (state == "pending") == (f"evt_{seq}" not in written)


def sent_to(stage: Stage, webhook: int) -> list[int]:
    """What reached it, in the order of its coming."""
    return [
        int(sent_headers(request)["webhook-id"].removeprefix("evt_"))
        for request in stage.network.requests
        if request.extensions["exchange"].key == webhook and request.extensions["exchange"].wrote
    ]


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), drains=st.booleans())
def test_each_delivery_is_attempted_once_and_none_is_forgotten(seed: int, drains: bool) -> None:
    trio.run(_history, seed, drains, clock=MockClock(autojump_threshold=0))
