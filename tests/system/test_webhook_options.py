"""A webhook's own headers, time limit and order, on the wire of real receivers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import trio
from harness.daemon_process import run_command
from harness.events import session_event
from harness.receiver import OK, never_answers

if TYPE_CHECKING:
    from pathlib import Path

    from harness.receiver import Behaviour, Connection
    from harness.starting import Daemons, Receivers

SECRET = "s3cret-of-the-receiver"


def answers_in(seconds: float, running: list[int]) -> Behaviour:
    """Answers each request a while after it; `running` gets how many were under way at each arrival."""
    under_way = 0

    async def behaviour(connection: Connection) -> None:
        nonlocal under_way
        while await connection.request():
            under_way += 1
            running.append(under_way)
            try:
                await trio.sleep(seconds)
                await connection.send(OK)
            finally:
                under_way -= 1

    return behaviour


async def test_the_headers_of_a_webhook_are_sent_and_shown_nowhere(daemons: Daemons, receivers: Receivers) -> None:
    receiver = await receivers.start()
    daemon = await daemons.start()
    acme = await daemon.tenant()
    webhook = await acme.register(receiver.url, headers={"Authorization": SECRET, "x-tenant": "acme one"})
    (delivery,) = await acme.finished(await acme.publish(session_event("s")))
    await acme.ask("PATCH", f"/v1/webhooks/{webhook['id']}", {"headers": {"authorization": "***"}})
    await acme.finished(await acme.publish(session_event("t")))
    await acme.request("PATCH", f"/v1/webhooks/{webhook['id']}", {"headers": {"authorization": SECRET, "host": SECRET}})
    first, second = receiver.requests
    assert (first.header("authorization"), first.header("x-tenant")) == (SECRET, "acme one")
    assert second.header("authorization") == SECRET
    assert "x-tenant" not in dict(second.headers)
    shown = [webhook, delivery, await acme.delivery(delivery["id"]), await acme.ask("GET", "/v1/webhooks")]
    assert SECRET not in str(shown)
    daemon.terminate()
    assert await daemon.exit_code() == 0
    assert SECRET not in daemon.log.tail(10_000)


async def test_a_webhooks_own_time_limit_replaces_the_daemons(daemons: Daemons, receivers: Receivers) -> None:
    receiver = await receivers.start(never_answers)
    daemon = await daemons.start({"delivery": {"timeout": 25}})
    acme = await daemon.tenant()
    await acme.register(receiver.url, timeout=1)
    (delivery,) = await acme.finished(await acme.publish(session_event("s")))
    assert delivery["error"] == "response_timeout"
    assert 900 <= delivery["timings"]["total"] < 5000


async def test_in_order_of_acceptance_one_after_the_other_while_another_webhook_is_not_slowed(
    daemons: Daemons, receivers: Receivers
) -> None:
    running: list[int] = []
    slow, quick = await receivers.start(answers_in(0.05, running)), await receivers.start()
    daemon = await daemons.start()
    acme = await daemon.tenant()
    await acme.register(slow.url, maxConcurrent=1)
    await acme.register(quick.url)
    began = time.monotonic()
    published = await acme.publish(*[session_event(f"s-{n}") for n in range(40)])
    await quick.arrived(40)
    quickly = time.monotonic() - began
    await slow.arrived(40)
    assert [request.header("webhook-id") for request in slow.requests] == [event["id"] for event in published]
    assert set(running) == {1}
    assert quickly < time.monotonic() - began


async def test_the_order_holds_across_kills(daemons: Daemons, receivers: Receivers) -> None:
    running: list[int] = []
    receiver = await receivers.start(answers_in(0.01, running))
    daemon = await daemons.start()
    token = await daemon.operator().create_tenant("acme")
    await daemon.caller(token).register(receiver.url, maxConcurrent=1)
    published = await daemon.caller(token).publish(*[session_event(f"s-{n}") for n in range(60)])
    for arrivals in (15, 35):
        await receiver.arrived(arrivals)
        daemon.kill()
        await daemon.exit_code()
        daemon = await daemons.start()
    await daemon.caller(token).settled()
    arrived = [request.header("webhook-id") for request in receiver.requests]
    order = [event["id"] for event in published]
    deliveries = await daemon.caller(token).deliveries()
    unknown = {delivery["event"] for delivery in deliveries if delivery["status"] == "interrupted"}
    assert len(unknown) <= 2
    assert arrived == [event for event in order if event in arrived]
    assert set(order) - set(arrived) <= unknown


async def test_the_command_line_sets_them_and_takes_headers_from_a_file_alone(daemons: Daemons, tmp_path: Path) -> None:
    daemon = await daemons.start()
    token = await daemon.operator().create_tenant("acme")
    (tmp_path / "token").write_text(token)
    headers = tmp_path / "headers"
    headers.write_text(f"Authorization: {SECRET}\n\nX-Two:  2 \n")
    access = ("--url", daemon.base_url, "--token-file", str(tmp_path / "token"))
    options = ("--header-file", str(headers), "--timeout", "2", "--max-concurrent", "1")
    made = await run_command("webhooks", "create", "https://example.com/", *options, *access)
    assert made.returncode == 0, made.stderr
    assert SECRET.encode() not in made.stdout + made.stderr
    (webhook,) = (await daemon.caller(token).ask("GET", "/v1/webhooks"))["data"]
    assert webhook["headers"] == {"authorization": "***", "x-two": "***"}
    assert (webhook["timeout"], webhook["maxConcurrent"]) == (2, 1)
    headers.write_text("")
    options = ("--header-file", str(headers), "--timeout", "default")
    changed = await run_command("webhooks", "update", webhook["id"], *options, *access)
    assert changed.returncode == 0, changed.stderr
    (webhook,) = (await daemon.caller(token).ask("GET", "/v1/webhooks"))["data"]
    assert (webhook["headers"], webhook["timeout"], webhook["maxConcurrent"]) == ({}, None, 1)
    for text in (SECRET, f"a: {SECRET}\na: {SECRET}"):
        headers.write_text(text)
        refused = await run_command("webhooks", "update", webhook["id"], "--header-file", str(headers), *access)
        assert refused.returncode == 2
        assert SECRET.encode() not in refused.stdout + refused.stderr
