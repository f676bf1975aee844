"""Names whose answers change, mix, dawdle or never come: a real DNS server, the system's resolver, the whole daemon."""

from __future__ import annotations

from collections import Counter
from math import inf
from typing import TYPE_CHECKING, Any

import trio
from harness.events import session_event
from name_server import AAAA, A, asking, name_server

if TYPE_CHECKING:
    from pathlib import Path

    from harness.api import Api
    from harness.starting import Daemons, Receivers

SETTINGS: dict[str, Any] = {
    "egress": {"allow": ["127.0.0.1/32"]},
    "delivery": {"keep_alive": 0, "timeout": 5, "connect_timeout": 1},
    "limits": {"webhooks_per_tenant": 500},
}


async def delivered(caller: Api, *, within: float = 10) -> dict[str, Any]:
    """One event to the tenant's one webhook, and what came of it."""
    (delivery,) = await caller.finished(await caller.publish(session_event("s-1")), within=within)
    return await caller.delivery(delivery["id"])


def outcome(delivery: dict[str, Any]) -> tuple[str, str | None]:
    return delivery["status"], delivery["error"]


FORBIDDEN = [
    ["127.0.0.2"],
    ["127.0.0.1", "127.0.0.2"],
    ["127.0.0.2", "127.0.0.1"],
    ["127.0.0.1", "::1"],
    ["127.0.0.1", "::ffff:127.0.0.1"],
    ["8.8.8.8", "127.0.0.2"],
    ["2606:4700:4700::1111", "127.0.0.2"],
    ["8.8.8.8", "64:ff9b::7f00:1"],
    ["169.254.169.254"],
    ["0.0.0.0"],
]


async def test_an_answer_that_changes_to_or_mixes_in_a_forbidden_address_is_not_connected_to(
    daemons: Daemons, receivers: Receivers, tmp_path: Path
) -> None:
    answers: list[list[str]] = [["127.0.0.1"]]

    async def zone(name: str) -> list[str]:
        return answers[-1]

    async with name_server(zone) as server:
        daemon = await daemons.start(SETTINGS, command=asking(server, tmp_path))
        caller, receiver = await daemon.tenant(), await receivers.start()
        await caller.register(f"http://rebinding.example:{receiver.port}/")
        assert server.asked == [], "a name is nobody's business before its first delivery"
        assert outcome(await delivered(caller)) == ("succeeded", None)
        for number, answer in enumerate(FORBIDDEN):
            answers.append(answer)
            delivery = await delivered(caller)
            assert outcome(delivery) == ("failed", "blocked_address"), answer
            assert "rebinding.example" in delivery["errorDetail"]
            assert not any(address in str(delivery) for address in answer)
            assert delivery["remoteAddress"] is None
            assert delivery["timings"]["connect"] is None
            assert receiver.connections == number + 1
            answers.append(["127.0.0.1"])
            assert outcome(await delivered(caller)) == ("succeeded", None)
        attempts = 1 + 2 * len(FORBIDDEN)
        asked = {("rebinding.example", A): attempts, ("rebinding.example", AAAA): attempts}
        assert Counter(server.asked) == asked, "each attempt asks once: what was checked is what is connected to"


async def test_an_answer_good_for_one_question_only_cannot_be_swapped_within_an_attempt(
    daemons: Daemons, receivers: Receivers, tmp_path: Path
) -> None:
    turns = Counter[str]()

    async def zone(name: str) -> list[str]:
        turns[name] += 1
        return ["127.0.0.1"] if turns[name] <= 2 else ["127.0.0.2"]

    async with name_server(zone) as server:
        daemon = await daemons.start(SETTINGS, command=asking(server, tmp_path))
        caller, receiver = await daemon.tenant(), await receivers.start()
        await caller.register(f"http://once.example:{receiver.port}/")
        first = await delivered(caller)
        assert (outcome(first), first["remoteAddress"]) == (("succeeded", None), f"127.0.0.1:{receiver.port}")
        assert outcome(await delivered(caller)) == ("failed", "blocked_address")


async def test_looking_up_has_no_more_time_than_connecting(
    daemons: Daemons, receivers: Receivers, tmp_path: Path
) -> None:
    seconds = {"slow.example": 0.4, "late.example": 1.5, "silent.example": inf}

    async def zone(name: str) -> list[str]:
        await trio.sleep(seconds[name])
        return ["127.0.0.1"]

    async with name_server(zone) as server:
        daemon = await daemons.start(SETTINGS, command=asking(server, tmp_path))
        caller, receiver = await daemon.tenant(), await receivers.start()
        for name in seconds:
            await caller.register(f"http://{name}:{receiver.port}/")
        ended = await caller.finished(await caller.publish(session_event("s-1")))
        found = {delivery["url"].split(":")[1][2:]: await caller.delivery(delivery["id"]) for delivery in ended}
    assert outcome(found["slow.example"]) == ("succeeded", None)
    assert 400 <= found["slow.example"]["timings"]["dns"] <= 1000
    for name in ("late.example", "silent.example"):
        assert outcome(found[name]) == ("failed", "dns_failed")
        assert 1000 <= found[name]["timings"]["total"] <= 1500
        assert name in found[name]["errorDetail"]


async def test_500_hanging_look_ups_of_one_tenant_leave_anothers_deliveries_unharmed(
    daemons: Daemons, receivers: Receivers, tmp_path: Path
) -> None:
    async def zone(name: str) -> list[str]:
        if name.startswith("hang"):
            await trio.sleep_forever()
        return ["127.0.0.1"]

    settings = {**SETTINGS, "delivery": {**SETTINGS["delivery"], "max_concurrent_per_tenant": 500}}
    async with name_server(zone) as server:
        daemon = await daemons.start(settings, command=asking(server, tmp_path))
        hanging, fine = await daemon.tenant("hanging"), await daemon.tenant("fine")
        receiver = await receivers.start()
        await fine.register(f"http://fine.example:{receiver.port}/")
        for number in range(500):
            await hanging.register(f"http://hang{number}.example/")
        hung = await hanging.publish(session_event("s-1"))
        assert hung[0]["deliveries"] == 500
        took: list[float] = []
        for number in range(20):
            before = trio.current_time()
            await fine.publish(session_event("s-1"))
            took.append((await receiver.arrived(number + 1, within=5))[-1].at - before)
        assert server.unanswered, "they were hanging all the while"
        assert max(took) < 0.5, sorted(took)
        ended = await hanging.finished(hung, within=10)
        assert {outcome(delivery) for delivery in ended} == {("failed", "dns_failed")}
        assert len({name for name, _ in server.unanswered}) < 50, "few of them had a thread"


async def test_hanging_look_ups_of_a_tenants_webhooks_leave_its_prompt_one_unharmed(
    daemons: Daemons, receivers: Receivers, tmp_path: Path
) -> None:
    async def zone(name: str) -> list[str]:
        if name.startswith("hang"):
            await trio.sleep_forever()
        return ["127.0.0.1"]

    async with name_server(zone) as server:
        daemon = await daemons.start(SETTINGS, command=asking(server, tmp_path))
        caller, receiver = await daemon.tenant(), await receivers.start()
        await caller.register(f"http://fine.example:{receiver.port}/")
        assert outcome(await delivered(caller)) == ("succeeded", None)
        for number in range(8):
            await caller.register(f"http://hang{number}.example/")
        took: list[float] = []
        for number in range(10):
            before = trio.current_time()
            await caller.publish(session_event("s-1"))
            took.append((await receiver.arrived(number + 2, within=5))[-1].at - before)
        assert server.unanswered, "they were hanging all the while"
        assert max(took) < 0.5, sorted(took)
