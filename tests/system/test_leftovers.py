"""What has been delivered is freed at once: nobody holds on to it, and nothing of it waits for the collector of cycles,
which looks seldom."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio
from harness.waiting import eventually
from wire import answering, receiver, transport

from daemon.delivery import tenant
from daemon.delivery.attempt import Attempt
from daemon.delivery.router import Router
from daemon.model import Claimed, Outcome
from daemon.operations.metrics import Metrics
from daemon.persistence.commands import Publish
from daemon.persistence.effects import Effects
from daemon.persistence.tickets import Ticket
from daemon.settings import DeliverySettings
from tests.storage.stores import running

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    import pytest

MANY = 40
OURS = (Attempt, Claimed, Outcome, Publish, Effects, Ticket)


@contextmanager
def uncollected() -> Generator[None]:
    while gc.collect():  # what earlier tests left may take more than one round
        pass
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def alive() -> set[int]:
    return {id(thing) for thing in gc.get_objects() if isinstance(thing, OURS)}


def in_cycles() -> Iterator[str]:
    """What of ours only the collector would free."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        yield from (str(thing) for thing in gc.garbage if str(getattr(thing, "__module__", "")).startswith("daemon."))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


async def test_a_delivery_leaves_nothing_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenant, "IDLE", 0.01)
    async with running(tmp_path / "test.db") as store, receiver(answering()) as port, transport() as egress:
        router = Router(store.actor, egress, DeliverySettings(), Metrics())
        async with trio.open_nursery() as nursery:
            await nursery.start(router.run)
            acme = await store.tenant()
            await store.webhook(acme, f"http://127.0.0.1:{port}/")
            with uncollected():
                before = alive()
                await store.publish(acme, MANY)
                router.offer(store.offers.pop())

                async def forgotten() -> bool:
                    return not (store.actor.waits.total() or router.actors or alive() - before)

                await eventually(forgotten, "nothing of the deliveries is held")
                assert egress.statistics().reused > 0
                assert list(in_cycles()) == []
            router.drain(trio.current_time() + 1)
