"""kill -9 in the middle of 2,000 deliveries, ten times: a fixed load, where test_torture has one without end."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any

import httpx
import trio
from harness.events import session_event
from harness.foreign import Ledger, counting_receiver

if TYPE_CHECKING:
    from pathlib import Path

    from harness.api import Api
    from harness.daemon_process import Daemon
    from harness.starting import Daemons

ROUNDS = 10
WEBHOOKS = 4
BATCHES = 20
BATCH = 25
A_ROUND = WEBHOOKS * BATCHES * BATCH
ANSWER_DELAY = 0.01


class Publisher:
    """Publishes batches with keys, and keeps the promises that it was given: the 202s."""

    def __init__(self) -> None:
        self.promised: dict[str, int] = {}
        self._unanswered: list[list[dict[str, Any]]] = []

    async def publish_round(self, caller: Api, number: int) -> None:
        """Publish a round's batches, side by side; those that get no answer are remembered."""
        batches = [
            [session_event(f"s-{number}-{batch}-{n}", key=f"{number}-{batch}-{n}") for n in range(BATCH)]
            for batch in range(BATCHES)
        ]
        async with trio.open_nursery() as nursery:
            for half in (batches[::2], batches[1::2]):
                nursery.start_soon(self._publish, caller, half)

    async def _publish(self, caller: Api, batches: list[list[dict[str, Any]]]) -> None:
        for batch in batches:
            try:
                self._promise(await caller.publish(*batch))
            except httpx.TransportError:
                self._unanswered.append(batch)

    async def ask_again(self, caller: Api) -> None:
        """Publish again, under the same keys, what got no answer: all of a batch was stored, or nothing of it."""
        while self._unanswered:
            answered = await caller.publish(*self._unanswered[-1])
            assert len({item["duplicate"] for item in answered}) == 1, answered
            self._promise(answered)
            self._unanswered.pop()

    def _promise(self, answered: list[dict[str, Any]]) -> None:
        for item in answered:
            assert item["deliveries"] == WEBHOOKS
            assert item["id"] not in self.promised, "one id for two events"
            self.promised[item["id"]] = item["deliveries"]


async def kill_at(daemon: Daemon, ledger: Ledger, arrivals: int) -> None:
    await ledger.reaches(arrivals, within=30)
    daemon.kill()
    await daemon.exit_code()


async def test_ten_kills_lose_nothing_and_send_nothing_twice(daemons: Daemons, tmp_path: Path) -> None:
    seed = int(os.environ.get("CRASH_SEED") or random.randrange(1 << 32))
    print(f"CRASH_SEED={seed}")
    moments = random.Random(seed)
    ledger, publisher = Ledger(tmp_path / "ledger"), Publisher()
    async with counting_receiver(ledger, ANSWER_DELAY) as port:
        daemon = await daemons.start()
        token = await daemon.operator().create_tenant("acme")
        for hook in range(WEBHOOKS):
            await daemon.caller(token).register(f"http://127.0.0.1:{port}/{hook}")
        for number in range(ROUNDS):
            moment = moments.randrange(1, A_ROUND - 100)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(publisher.publish_round, daemon.caller(token), number)
                await kill_at(daemon, ledger, ledger.total() + moment)
            daemon = await daemons.start()
            if moments.random() < 0.3:
                daemon.kill()
                await daemon.exit_code()
                daemon = await daemons.start()
            await publisher.ask_again(daemon.caller(token))
            await daemon.caller(token).settled(within=60)
        reconcile(publisher.promised, await daemon.caller(token).deliveries(), ledger)
        webhooks = (await daemon.caller(token).ask("GET", "/v1/webhooks"))["data"]
        assert [webhook["deliveryAttempts"] for webhook in webhooks] == [0] * WEBHOOKS


def reconcile(promised: dict[str, int], deliveries: list[dict[str, Any]], ledger: Ledger) -> None:
    """The publisher's 202s, the daemon's records and the receiver's ledger tell the same story."""
    statuses = {(target(delivery), delivery["event"]): delivery["status"] for delivery in deliveries}
    arrivals = ledger.arrivals()
    interrupted = [key for key, status in statuses.items() if status == "interrupted"]
    print(f"{len(promised)} events, {len(deliveries)} deliveries, {len(interrupted)} interrupted")

    assert max(arrivals.values()) == 1, "a delivery was sent twice"
    assert len(promised) == ROUNDS * BATCHES * BATCH
    assert len(deliveries) == len(statuses) == len(promised) * WEBHOOKS
    assert {event for _, event in statuses} == promised.keys()
    assert set(statuses.values()) == {"succeeded", "interrupted"}
    assert arrivals.keys() <= statuses.keys(), "something was sent that is not on the record"
    assert [key for key, status in statuses.items() if status == "succeeded" and not arrivals[key]] == []
    assert ROUNDS <= len(interrupted) < len(deliveries) / 10


def target(delivery: dict[str, Any]) -> str:
    return "/" + delivery["url"].rpartition("/")[2]
