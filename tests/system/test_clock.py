"""The wall clock steps an hour back and forth: deliveries, deadlines and their order do not notice."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
import trio
from harness.events import session_event
from harness.faults import wall_clock
from harness.receiver import answers_after

if TYPE_CHECKING:
    from pathlib import Path

    from harness.starting import Daemons, Receivers

HOUR = 3600


@pytest.mark.parametrize("step", [-HOUR, HOUR], ids=["back", "forth"])
async def test_an_hours_step_changes_neither_deliveries_nor_their_order(
    step: int, daemons: Daemons, receivers: Receivers, tmp_path: Path
) -> None:
    gate = trio.Event()
    receiver = await receivers.start(answers_after(gate))
    with wall_clock(tmp_path / "clock") as clock:
        daemon = await daemons.start(command=clock.command)
        token = await daemon.operator().create_tenant("acme")
        acme = daemon.caller(token)
        webhook = await acme.register(receiver.url)
        (first,) = await acme.publish(session_event("s-1", key="s-1"))
        await receiver.arrived(1)
        clock.step(step)
        (second,) = await acme.publish(session_event("s-2", key="s-2"))
        await receiver.arrived(2)
        assert abs(int(receiver.requests[1].header("webhook-timestamp")) - time.time() - step) < 30
        gate.set()
        newer, older = await acme.finished([first, second])

        assert [(newer["event"], newer["status"]), (older["event"], older["status"])] == [
            (second["id"], "succeeded"),
            (first["id"], "succeeded"),
        ]
        for delivery in (newer, older):
            assert delivery["started"] <= delivery["finished"]
            assert 0 <= delivery["timings"]["total"] < 60_000
        (again,) = await acme.publish(session_event("s-1", key="s-1"))
        assert (again["id"], again["duplicate"]) == (first["id"], True)
        redelivery = await acme.ask("POST", f"/v1/deliveries/{older['id']}/redeliver")
        await acme.settled()
        assert [delivery["id"] for delivery in await acme.deliveries(webhook["id"])] == [
            redelivery["id"],
            newer["id"],
            older["id"],
        ]
        metrics = (await daemon.operator().request("GET", "/metrics")).text
        assert "tenant_webhooks_" in metrics
        assert [line for line in metrics.splitlines() if " -" in line and not line.startswith("#")] == []


@pytest.mark.parametrize("step", [-HOUR, HOUR], ids=["back", "forth"])
async def test_after_a_step_a_crash_recovers_and_a_drain_ends_in_time(
    step: int, daemons: Daemons, receivers: Receivers, tmp_path: Path
) -> None:
    gate = trio.Event()
    receiver = await receivers.start(answers_after(gate))
    with wall_clock(tmp_path / "clock") as clock:
        daemon = await daemons.start(command=clock.command)
        token = await daemon.operator().create_tenant("acme")
        await daemon.caller(token).register(receiver.url)
        (cut,) = await daemon.caller(token).publish(session_event("s-1"))
        await receiver.arrived(1)
        daemon.kill()
        await daemon.exit_code()
        clock.step(step)

        restarted = await daemons.start(command=clock.command)
        acme = restarted.caller(token)
        (delivery,) = await acme.finished([cut])
        assert delivery["status"] == "interrupted"
        (running,) = await acme.publish(session_event("s-2"))
        await receiver.arrived(2)
        restarted.terminate()
        await restarted.log.wait("daemon.draining")
        clock.step(-step)
        gate.set()
        assert await restarted.exit_code(within=5) == 0

        last = await daemons.start(command=clock.command)
        newer, older = await last.caller(token).deliveries()
        assert (newer["event"], newer["status"]) == (running["id"], "succeeded")
        assert (older["event"], older["status"]) == (cut["id"], "interrupted")
        assert len(receiver.requests) == 2
