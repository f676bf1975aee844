"""`GET /v1/status` and `tenant-webhooks status`: one look at how a daemon is doing, for operators only."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest
from harness.daemon_process import run_command
from harness.events import session_event
from harness.hostile import unused_port
from harness.receiver import answers, response
from harness.terminal import Terminal
from harness.waiting import eventually
from scripted_api import Answer, problem, run, scripted

from daemon import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.daemon_process import Daemon
    from harness.starting import Daemons, Receivers
    from scripted_api import Server


async def status(daemon: Daemon) -> dict[str, Any]:
    token = str(daemon.database.parent / "operator.token")
    done = await run_command("status", "--json", "--url", daemon.base_url, "--token-file", token)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


async def test_a_fresh_daemon_says_what_it_is_and_that_all_is_well(daemons: Daemons) -> None:
    daemon = await daemons.start({"storage": {"min_free_bytes": 4096}})
    told = await status(daemon)
    assert told["version"] == __version__
    assert told["unready"] == {}
    assert told["waiting"] == {"deliveries": 0, "oldestAge": None}
    assert told["inFlight"] == 0
    assert told["lastHour"]["since"] == told["started"]
    assert not told["lastHour"]["whole"]
    assert told["database"]["size"] > 0
    assert told["database"]["wal"] > 0
    assert told["disk"]["free"] > told["disk"]["least"] == 4096
    assert told["retention"] == {"days": 30, "maxBytes": None, "oldest": None, "paused": None}


async def test_what_is_deleted_by_age_and_by_size_is_told(daemons: Daemons) -> None:
    daemon = await daemons.start({"storage": {"retention_days": 0, "max_bytes": 1 << 30}})
    assert (await status(daemon))["retention"] == {"days": None, "maxBytes": 1 << 30, "oldest": None, "paused": None}


async def test_outcomes_of_the_last_hour_and_the_worst_webhooks_are_told(
    daemons: Daemons, receivers: Receivers
) -> None:
    daemon = await daemons.start()
    good, bad = await receivers.start(), await receivers.start(answers(response("HTTP/1.1 500 Oh\nContent-Length: 0")))
    acme, globex = await daemon.tenant("acme"), await daemon.tenant("globex")
    await acme.register(good.url)
    worst = await acme.register(bad.url)
    refused = await globex.register(f"http://127.0.0.1:{unused_port()}/")
    await acme.finished(await acme.publish(*[session_event(f"s-{n}") for n in range(3)]))
    await globex.finished(await globex.publish(session_event("s")))
    told = await eventually(lambda: _ended(daemon, 7), "all seven are told")
    hour = told["lastHour"]
    assert (hour["succeeded"], hour["failed"], hour["interrupted"], hour["cancelled"]) == (3, 4, 0, 0)
    assert hour["errors"] == {"http_status": 3, "connect_refused": 1}
    assert hour["worstWebhooks"] == [
        {"id": worst["id"], "tenant": "acme", "failed": 3, "margin": 0, "lastError": "http_status"},
        {"id": refused["id"], "tenant": "globex", "failed": 1, "margin": 0, "lastError": "connect_refused"},
    ]


async def _ended(daemon: Daemon, number: int) -> dict[str, Any] | None:
    told = await status(daemon)
    return told if told["lastHour"]["succeeded"] + told["lastHour"]["failed"] == number else None


async def test_what_waits_and_what_runs_is_told(daemons: Daemons, receivers: Receivers) -> None:
    daemon = await daemons.start({"delivery": {"max_concurrent_per_webhook": 1}})
    hanging = await receivers.start(lambda connection: connection.until_closed())
    acme = await daemon.tenant()
    await acme.register(hanging.url)
    await acme.publish(*[session_event(f"s-{n}") for n in range(3)])
    await hanging.connected()

    async def seen() -> dict[str, Any] | None:
        told = await daemon.operator().ask("GET", "/v1/status")
        return told if told["inFlight"] == 1 and told["waiting"]["oldestAge"] is not None else None

    told = await eventually(seen, "one runs and two wait")
    assert told["waiting"]["deliveries"] == 2
    assert 0 <= told["waiting"]["oldestAge"] < 60


async def test_a_disk_short_of_space_is_told_by_readiness_status_and_metrics_alike(daemons: Daemons) -> None:
    daemon = await daemons.start({"storage": {"min_free_bytes": 1 << 40}})
    ready = await daemon.caller(None).request("GET", "/readyz")
    assert ready.status_code == 503
    parts = ready.json()["parts"]
    assert list(parts) == ["space"]
    assert "storage.min_free_bytes" in parts["space"]
    told = await status(daemon)
    assert list(told["unready"]) == ["space"]
    metrics = (await daemon.operator().request("GET", "/metrics")).text
    assert "\ntenant_webhooks_ready 0.0\n" in metrics
    assert "\ntenant_webhooks_disk_least_free_bytes 1.099511627776e+12\n" in metrics
    shown = await run_command(
        "status", "--url", daemon.base_url, "--token-file", str(daemon.database.parent / "operator.token")
    )
    assert b"not ready" in shown.stdout
    assert (await daemon.caller(None).request("GET", "/healthz")).status_code == 200


async def test_a_storage_that_is_gone_is_another_part_than_a_full_one(daemons: Daemons) -> None:
    daemon = await daemons.start({"storage": {"min_free_bytes": 0}})
    acme = await daemon.tenant()
    daemon.database.rename(daemon.database.with_name("moved.db"))
    assert (await acme.request("POST", "/v1/webhooks", {"url": "http://127.0.0.1:9/"})).status_code in (500, 503)
    parts = (await daemon.caller(None).request("GET", "/readyz")).json()["parts"]
    assert list(parts) == ["storage"]
    assert "moved" in parts["storage"]


async def test_status_is_for_operators(daemons: Daemons) -> None:
    daemon = await daemons.start()
    acme = await daemon.tenant()
    assert (await acme.request("GET", "/v1/status")).status_code == 403
    assert (await acme.request("GET", "/v1/status", tenant="acme")).status_code == 403
    assert (await daemon.caller(None).request("GET", "/v1/status")).status_code == 401
    assert (await daemon.operator().request("GET", "/v1/status", verbose=1)).status_code == 422
    assert (await daemon.operator().request("POST", "/v1/status")).status_code == 405


async def test_watching_outlives_a_restart_and_ends_with_the_person(daemons: Daemons) -> None:
    port = unused_port()
    settings = {"server": {"bind": [f"127.0.0.1:{port}"]}}
    daemon = await daemons.start(settings)
    env = {"TENANT_WEBHOOKS_URL": daemon.base_url, "TENANT_WEBHOOKS_TOKEN": daemon.operator_token}
    terminal = await Terminal.start("status", "--watch", env=env)
    try:
        await terminal.until("succeeded")
        daemon.terminate()
        await daemon.exit_code()
        await terminal.until("Nothing answers at")
        await daemons.start(settings)
        await terminal.until("succeeded")
        terminal.process.send_signal(signal.SIGINT)
        assert await terminal.exit_code() == 0
    finally:
        await terminal.aclose()


async def test_watching_with_a_wrong_token_ends_at_once(daemons: Daemons) -> None:
    daemon = await daemons.start()
    env = {"TENANT_WEBHOOKS_URL": daemon.base_url, "TENANT_WEBHOOKS_TOKEN": "tw_wrong"}
    terminal = await Terminal.start("status", "--watch", env=env)
    try:
        assert await terminal.exit_code() == 1
    finally:
        await terminal.aclose()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with scripted(monkeypatch) as script:
        yield script


TOLD = {
    "version": "9.9",
    "started": "2025-10-21T10:00:00.000Z",
    "uptime": 273_600.0,
    "unready": {"storage": "disk\x1b[2J I/O error"},
    "waiting": {"deliveries": 1_234_567, "oldestAge": 3725.5},
    "inFlight": 12,
    "lastHour": {
        "since": "2025-10-24T13:00:00.000Z",
        "whole": True,
        "succeeded": 1000,
        "failed": 5,
        "interrupted": 1,
        "cancelled": 0,
        "errors": {"http_status": 4, "dns_failed": 1},
        "worstWebhooks": [{"id": "w1", "tenant": "acme", "failed": 4, "margin": 2, "lastError": "http_status"}],
    },
    "database": {"size": 1_200_000_000, "wal": 4_000_000},
    "disk": {"free": None, "least": 67_108_864},
    "retention": {
        "days": 30,
        "maxBytes": 2_000_000_000,
        "oldest": "2025-09-24T00:00:00.000Z",
        "paused": "The clock\x1b[2J has jumped.",
    },
    "somethingNew": {"a": 1},
}


def test_the_screen_reads_as_a_person_would_say_it(server: Server) -> None:
    server.respond(Answer(body=json.dumps(TOLD).encode()))
    shown = run("status")
    assert shown.exit_code == 0, shown.output
    assert [line.rstrip() for line in shown.stdout.splitlines()] == [
        "Tenant Webhooks 9.9  not ready  up 3 d 4 h, since 2025-10-21T10:00:00.000Z",
        r"  storage: disk\x1b[2J I/O error",
        "",
        "waiting    1,234,567, the oldest for 1 h 2 min",
        "in flight  12",
        "database   1.2 GB, and 4.0 MB of write-ahead log",
        "disk       unknown; below 67.1 MB nothing is accepted",
        "retention  30 days, and at most 2.0 GB; the oldest event is of 2025-09-24T00:00:00.000Z",
        r"  paused   The clock\x1b[2J has jumped.",
        "",
        "The last hour",
        "succeeded      1,000",
        "failed         5",
        "  http_status  4",
        "  dns_failed   1",
        "interrupted    1",
        "cancelled      0",
        "",
        "Webhooks with the most failed attempts",
        "ID  TENANT  FAILED  LAST ERROR",
        "w1  acme    4 to 6  http_status",
    ]


@pytest.mark.parametrize(
    ("retention", "line"),
    [
        ({"days": None, "maxBytes": None, "oldest": None, "paused": None}, "nothing is deleted"),
        ({"days": 0.5, "maxBytes": None, "oldest": None, "paused": None}, "0.5 days"),
        ({"days": None, "maxBytes": 5_000_000, "oldest": None, "paused": None}, "at most 5.0 MB"),
    ],
)
def test_the_screen_says_what_bounds_the_database(server: Server, retention: dict[str, object], line: str) -> None:
    server.respond(Answer(body=json.dumps({**TOLD, "retention": retention}).encode()))
    shown = run("status").stdout
    assert [text.strip() for text in shown.splitlines() if text.startswith("retention")] == [f"retention  {line}"]
    assert "paused" not in shown


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer(body=b'{"version":"9.9"}'), "not an answer of this API"),
        (Answer(body=b"[]"), "not an answer of this API"),
        (problem(403, title="Forbidden", detail="This is for operators."), "This is for operators."),
        (None, "No answer"),
    ],
)
def test_an_answer_that_is_none_is_a_failure(server: Server, answer: Answer | None, says: str) -> None:
    server.respond(answer)
    done = run("status")
    assert (done.exit_code, done.stdout) == (1, "")
    assert says.lower() in done.stderr.lower()


@pytest.mark.parametrize("arguments", ["status --watch --json", "status --watch", "status all"])
def test_wrong_usage_asks_nothing(server: Server, arguments: str) -> None:
    assert run(*arguments.split()).exit_code == 2
    assert server.seen == []
