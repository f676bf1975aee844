"""What integrators see of a recovery: what did not arrive arrives, once, whatever becomes of the daemon meanwhile."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from harness.daemon_process import environment, run_command
from harness.events import session_event
from harness.foreign import Ledger, counting_receiver
from harness.receiver import answers, response
from harness.terminal import Terminal
from harness.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from harness.api import Api, Json
    from harness.daemon_process import Daemon
    from harness.starting import Daemons, Receivers

SINCE = {"since": "2020-01-01T00:00:00Z"}
NOWHERE = "http://127.0.0.1:1/hook"
BAD = response("HTTP/1.1 500 No\nContent-Length: 0")


async def failed_events(acme: Api, count: int) -> tuple[Json, list[Json]]:
    """A webhook that nothing could be delivered to."""
    webhook = await acme.register(NOWHERE)
    events: list[Json] = []
    for start in range(0, count, 500):
        numbers = range(start, min(count, start + 500))
        events += await acme.publish(*[session_event(f"s-{number}") for number in numbers])
    await acme.settled(within=60)
    return webhook, events


async def over(acme: Api, recovery: Json, *, within: float = 60) -> Json:
    """The recovery, once nothing of it is left to do."""

    async def ended() -> Json | None:
        seen = await acme.ask("GET", f"/v1/recoveries/{recovery['id']}")
        return seen if seen["status"] != "running" and not seen["waiting"] else None

    return await eventually(ended, "the recovery is over", within=within)


async def test_one_killed_half_way_ends_complete_and_nothing_is_sent_twice(daemons: Daemons, tmp_path: Path) -> None:
    count, ledger = 1500, Ledger(tmp_path / "ledger")
    async with counting_receiver(ledger, delay=0.02) as port:
        daemon = await daemons.start()
        token = await daemon.operator().create_tenant("acme")
        acme = daemon.caller(token)
        webhook, events = await failed_events(acme, count)
        await acme.ask("PATCH", f"/v1/webhooks/{webhook['id']}", {"url": f"http://127.0.0.1:{port}/hook"})
        begun = await acme.ask("POST", f"/v1/webhooks/{webhook['id']}/recover", SINCE)
        assert (begun["status"], begun["total"]) == ("running", count)
        for kill_at in (300, 900):
            await ledger.reaches(kill_at, within=30)
            daemon.kill()
            await daemon.exit_code()
            daemon = await daemons.start()
            acme = daemon.caller(token)
            assert daemon.log.of("delivery.interrupted")
        seen = await over(acme, begun)
        interrupted = await acme.deliveries(webhook["id"], status="interrupted")
        sent = ledger.arrivals()

        assert (seen["status"], seen["examined"], seen["redelivered"]) == ("completed", count, count)
        assert (seen["failed"], seen["interrupted"]) == (0, len(interrupted))
        assert seen["succeeded"] + seen["interrupted"] == count
        assert set(sent.values()) == {1}, "nothing was sent twice"
        missing = {event["id"] for event in events} - {event for _, event in sent}
        assert missing <= {delivery["event"] for delivery in interrupted}
        made = [delivery for delivery in await acme.deliveries(webhook["id"]) if delivery["redeliveryOf"]]
        assert len(made) == len({delivery["event"] for delivery in made}) == count

        again = await acme.ask("POST", "/v1/recover", SINCE)
        seen = await over(acme, again)
        assert (seen["redelivered"], seen["succeeded"]) == (len(interrupted), len(interrupted))
        assert daemon.log.of("recovery.completed")
        command = await run_command("check", "--config", str(daemon.database.with_suffix(".toml")))
        assert command.returncode == 0, command.stdout


async def test_a_dry_run_counts_and_changes_nothing(daemons: Daemons) -> None:
    acme = await (await daemons.start()).tenant()
    webhook, _ = await failed_events(acme, 20)
    for where in (f"/v1/webhooks/{webhook['id']}/recover", "/v1/recover"):
        counted = await acme.ask("POST", where, {**SINCE, "dryRun": True})
        assert counted == {"dryRun": True, "examined": 20, "skipped": 0, "redelivered": 20, "complete": True}
    assert (await acme.ask("GET", "/v1/recoveries"))["data"] == []
    assert len(await acme.deliveries()) == 20


async def test_an_endpoint_that_hangs_gets_no_more_than_its_slots_and_a_cancel_ends_what_waits(
    daemons: Daemons, tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path / "ledger")
    async with counting_receiver(ledger, delay=3600) as port:
        acme = await (await daemons.start({"delivery": {"timeout": 2, "connect_timeout": 2}})).tenant()
        webhook, _ = await failed_events(acme, 300)
        await acme.ask("PATCH", f"/v1/webhooks/{webhook['id']}", {"url": f"http://127.0.0.1:{port}/hook"})
        begun = await acme.ask("POST", f"/v1/webhooks/{webhook['id']}/recover", SINCE)
        await ledger.reaches(16, within=10)
        assert len(await acme.deliveries(webhook["id"], status="pending")) <= 200
        cancelled = await acme.ask("DELETE", f"/v1/recoveries/{begun['id']}")
        sent = ledger.total()
        assert cancelled["status"] == "cancelled"
        seen = await over(acme, begun)
        assert (seen["failed"], seen["succeeded"]) == (sent, 0)
        assert seen["failed"] + seen["cancelled"] == seen["redelivered"] == 200
        assert ledger.total() == sent


async def test_what_arrived_is_not_sent_again_and_what_fails_again_is_told(
    daemons: Daemons, receivers: Receivers
) -> None:
    daemon = await daemons.start()
    acme = await daemon.tenant()
    webhook, _ = await failed_events(acme, 5)
    bad = await receivers.start(answers(BAD))
    await acme.ask("PATCH", f"/v1/webhooks/{webhook['id']}", {"url": bad.url})
    seen = await over(acme, await acme.ask("POST", f"/v1/webhooks/{webhook['id']}/recover", SINCE))
    assert (seen["redelivered"], seen["failed"], seen["status"]) == (5, 5, "completed")
    good = await receivers.start()
    await acme.ask("PATCH", f"/v1/webhooks/{webhook['id']}", {"url": good.url})
    seen = await over(acme, await acme.ask("POST", "/v1/recover", SINCE))
    assert (seen["examined"], seen["redelivered"], seen["succeeded"], seen["webhook"]) == (10, 5, 5, None)
    everybodys = await over(daemon.operator(), await daemon.operator().ask("POST", "/v1/recover", SINCE))
    assert (everybodys["tenant"], everybodys["skipped"], everybodys["redelivered"]) == (None, 10, 0)
    assert len({received.header("webhook-id") for received in good.requests}) == len(good.requests) == 5


async def test_it_is_nobody_elses_and_what_is_asked_wrongly_is_refused(daemons: Daemons) -> None:
    daemon = await daemons.start()
    acme, other = await daemon.tenant("acme"), await daemon.tenant("other")
    webhook, _ = await failed_events(acme, 1)
    begun = await acme.ask("POST", f"/v1/webhooks/{webhook['id']}/recover", SINCE)
    everybodys = await daemon.operator().ask("POST", "/v1/recover", SINCE)
    assert (await other.request("POST", f"/v1/webhooks/{webhook['id']}/recover", SINCE)).status_code == 404
    for method in ("GET", "DELETE"):
        assert (await other.request(method, f"/v1/recoveries/{begun['id']}")).status_code == 404
        assert (await acme.request(method, f"/v1/recoveries/{everybodys['id']}")).status_code == 404
    assert (await other.ask("GET", "/v1/recoveries"))["data"] == []
    assert (await other.request("POST", "/v1/recover", SINCE, tenant="acme")).status_code == 403
    listed = await daemon.operator().ask("GET", "/v1/recoveries", tenant="acme")
    assert [recovery["id"] for recovery in listed["data"]] == [begun["id"]]
    listed = await daemon.operator().ask("GET", "/v1/recoveries", limit=1)
    assert [recovery["id"] for recovery in listed["data"]] == [everybodys["id"]]
    following = await daemon.operator().ask("GET", "/v1/recoveries", limit=1, cursor=listed["next"])
    assert [recovery["tenant"] for recovery in following["data"]] == ["acme"]
    for body, pointer in (
        ({}, "/since"),
        ({"since": "yesterday"}, "/since"),
        ({"since": "2020-01-01T00:00:00"}, "/since"),
        ({**SINCE, "until": "2019-01-01T00:00:00Z"}, "/since"),
        ({**SINCE, "until": 5}, "/until"),
        ({**SINCE, "statuses": ["succeeded"]}, "/statuses/0"),
        ({**SINCE, "statuses": []}, "/statuses"),
        ({**SINCE, "other": 1}, "/other"),
    ):
        refused = await acme.request("POST", "/v1/recover", body)
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, pointer), body
    await acme.ask("DELETE", f"/v1/webhooks/{webhook['id']}")
    for dry in (True, False):
        where, body = f"/v1/webhooks/{webhook['id']}/recover", {**SINCE, "dryRun": dry}
        refused = await acme.request("POST", where, body)
        assert (refused.status_code, refused.json()["type"]) == (409, "/problems/webhook-inactive")
        refused = await acme.request("POST", where, {**body, "until": "2019-01-01T00:00:00Z"})
        assert refused.status_code == 422, "what is wrong with the request itself comes first"
        await daemon.operator().ask("PATCH", "/v1/tenants/other", {"active": False})
        refused = await daemon.operator().request("POST", "/v1/recover", body, tenant="other")
        assert (refused.status_code, refused.json()["type"]) == (409, "/problems/tenant-inactive")


async def test_the_command_line_counts_recovers_waits_lists_and_cancels(daemons: Daemons, receivers: Receivers) -> None:
    daemon = await daemons.start()
    acme = await daemon.tenant()
    webhook, _ = await failed_events(acme, 30)
    receiver = await receivers.start()
    await acme.ask("PATCH", f"/v1/webhooks/{webhook['id']}", {"url": receiver.url})

    async def command(*arguments: str) -> Json:
        done = await run_command(*arguments, *access(daemon), "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    recover = ("recover", webhook["id"], "--since", SINCE["since"])
    assert (await command(*recover, "--dry-run"))["redelivered"] == 30
    done = await command(*recover, "--status", "failed", "--wait")
    assert (done["status"], done["succeeded"], done["statuses"]) == ("completed", 30, ["failed"])
    assert [one["id"] for one in (await command("recoveries", "list"))["data"]] == [done["id"]]
    assert await command("recoveries", "show", done["id"]) == done
    assert (await command("recoveries", "cancel", done["id"]))["status"] == "completed"
    people = await Terminal.start("recover", "--since", SINCE["since"], "--wait", *access(daemon), env=environment())
    try:
        await people.until("Recovering")
        await people.until("completed")
        assert await people.exit_code() == 0
    finally:
        await people.aclose()
    assert (await run_command("recover", *access(daemon))).returncode == 2


def access(daemon: Daemon) -> tuple[str, ...]:
    return "--url", daemon.base_url, "--token-file", str(daemon.database.parent / "operator.token")
