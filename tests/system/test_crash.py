"""What people see after a kill -9 (CONTRACT §8); other files count what is lost and repeated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.events import session_event
from harness.foreign import Ledger, counting_receiver

if TYPE_CHECKING:
    from pathlib import Path

    from harness.starting import Daemons


async def test_interrupted_deliveries_are_logged_and_listed_and_sent_again_only_when_asked(
    daemons: Daemons, tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path / "ledger")
    async with counting_receiver(ledger, delay=3600) as port:
        daemon = await daemons.start()
        token = await daemon.operator().create_tenant("acme")
        webhook = await daemon.caller(token).register(f"http://127.0.0.1:{port}/hook")
        await daemon.caller(token).publish(*[session_event(f"s-{n}") for n in range(3)])
        await ledger.reaches(3, within=10)
        daemon.kill()
        await daemon.exit_code()

        restarted = await daemons.start()
        acme = restarted.caller(token)
        interrupted = await acme.deliveries(webhook["id"], status="interrupted")
        assert len(interrupted) == 3
        assert restarted.log.of("delivery.interrupted")
        metrics = await restarted.operator().request("GET", "/metrics")
        assert 'outcome="interrupted"' in metrics.text
        told = await acme.ask("GET", f"/v1/webhooks/{webhook['id']}")
        assert (told["deliveryAttempts"], told["lastDelivered"], told["lastDelivery"]["status"]) == (
            0,
            None,
            "interrupted",
        )
        assert ledger.total() == 3

        again = await acme.ask("POST", f"/v1/deliveries/{interrupted[0]['id']}/redeliver")
        await ledger.reaches(4, within=10)
        assert again["event"] == interrupted[0]["event"]
        assert ledger.arrivals()["/hook", again["event"]] == 2


async def test_every_202_survives_a_kill_right_after_it(daemons: Daemons, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    async with counting_receiver(ledger) as port:
        daemon = await daemons.start()
        token = await daemon.operator().create_tenant("acme")
        await daemon.caller(token).register(f"http://127.0.0.1:{port}/hook")
        accepted = await daemon.caller(token).publish(*[session_event(f"s-{n}") for n in range(1000)])
        daemon.kill()
        await daemon.exit_code()

        restarted = await daemons.start()
        deliveries = await restarted.caller(token).finished(accepted, within=20)
        assert {delivery["status"] for delivery in deliveries} <= {"succeeded", "interrupted"}
        assert max(ledger.arrivals().values()) == 1
        reached = {event for _, event in ledger.arrivals()}
        assert {delivery["event"] for delivery in deliveries if delivery["status"] == "succeeded"} <= reached
