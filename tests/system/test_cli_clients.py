"""The API from a terminal: what each command asks, and how the answer reads."""

from __future__ import annotations

import json
import os
import socketserver
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from scripted_api import ACCEPTED, EVENT, TOKEN, WEBHOOK, Answer, Server, run, scripted, serving

from daemon import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with scripted(monkeypatch) as script:
        yield script


def test_a_list_goes_on_until_the_search_has_found_something(server: Server) -> None:
    server.respond(
        Answer(body=b'{"data":[],"next":"a"}'),
        Answer(body=b'{"data":[],"next":"b"}'),
        Answer(body=b'{"data":[{"id":"dlv_1"}],"next":"c"}'),
    )
    result = run("deliveries", "list", "--event-type", "rare", "--json")
    assert json.loads(result.stdout) == {"data": [{"id": "dlv_1"}], "next": "c"}
    assert [seen.target.partition("cursor=")[2] for seen in server.seen] == ["", "a", "b"]


@pytest.mark.parametrize(
    ("arguments", "method", "target", "body"),
    [
        ("tenants list", "GET", "/v1/tenants", None),
        ("tenants get acme", "GET", "/v1/tenants/acme", None),
        ("tenants create acme --name Acme", "POST", "/v1/tenants", {"id": "acme", "name": "Acme"}),
        ("tenants update acme --inactive", "PATCH", "/v1/tenants/acme", {"active": False}),
        ("tenants update acme --name=", "PATCH", "/v1/tenants/acme", {"name": None}),
        ("tenants delete acme --yes", "DELETE", "/v1/tenants/acme", None),
        ("tokens list acme --limit 3", "GET", "/v1/tenants/acme/tokens?limit=3", None),
        (
            "tokens create acme --permission publish_events --name core",
            "POST",
            "/v1/tenants/acme/tokens",
            {"name": "core", "permissions": ["publish_events"]},
        ),
        ("tokens delete acme tok_1", "DELETE", "/v1/tenants/acme/tokens/tok_1", None),
        ("webhooks list --tenant acme --inactive", "GET", "/v1/webhooks?tenant=acme&active=false", None),
        ("webhooks get w1", "GET", "/v1/webhooks/w1", None),
        (
            "webhooks create https://a.example/x --event e --inactive --tenant acme",
            "POST",
            "/v1/webhooks?tenant=acme",
            {"url": "https://a.example/x", "events": ["e"], "active": False},
        ),
        ("webhooks create https://a.example/x", "POST", "/v1/webhooks", {"url": "https://a.example/x"}),
        ("webhooks update w1 --active --name=", "PATCH", "/v1/webhooks/w1", {"name": None, "active": True}),
        ("webhooks update w1 --endpoint u --event e", "PATCH", "/v1/webhooks/w1", {"url": "u", "events": ["e"]}),
        (
            "webhooks update w1 --timeout 2.5 --max-concurrent 1",
            "PATCH",
            "/v1/webhooks/w1",
            {"timeout": 2.5, "maxConcurrent": 1},
        ),
        (
            "webhooks update w1 --timeout default --max-concurrent default",
            "PATCH",
            "/v1/webhooks/w1",
            {"timeout": None, "maxConcurrent": None},
        ),
        ("webhooks delete w1", "DELETE", "/v1/webhooks/w1", None),
        ("webhooks secret w1", "GET", "/v1/webhooks/w1/secret", None),
        ("webhooks rotate-secret w1", "POST", "/v1/webhooks/w1/secret/rotate", {}),
        ("webhooks rotate-secret w1 --overlap-hours 0", "POST", "/v1/webhooks/w1/secret/rotate", {"overlapHours": 0}),
        ("webhooks ping w1", "POST", "/v1/webhooks/w1/ping", None),
        ("webhooks stats w1 --window 7d", "GET", "/v1/webhooks/w1/stats?window=7d", None),
        (
            "events list --type e --status failed --error http_status --idempotency-key k --until 2026-01-01T00:00:00Z",
            "GET",
            "/v1/events?type=e&status=failed&error=http_status&idempotencyKey=k&until=2026-01-01T00%3A00%3A00Z",
            None,
        ),
        ("events get evt_1", "GET", "/v1/events/evt_1", None),
        (
            "recover w1 --since 2026-01-01T00:00:00Z --status failed --dry-run",
            "POST",
            "/v1/webhooks/w1/recover",
            {"since": "2026-01-01T00:00:00Z", "statuses": ["failed"], "dryRun": True},
        ),
        (
            "recover --since 2026-01-01T00:00:00Z --until 2026-01-02T00:00:00Z --tenant acme",
            "POST",
            "/v1/recover?tenant=acme",
            {"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"},
        ),
        ("recoveries list --tenant acme --limit 3", "GET", "/v1/recoveries?limit=3&tenant=acme", None),
        ("recoveries show rec_1", "GET", "/v1/recoveries/rec_1", None),
        ("recoveries cancel rec_1", "DELETE", "/v1/recoveries/rec_1", None),
        (
            "deliveries list --status failed --error http_status --event-type e --since 2026-01-01T00:00:00Z",
            "GET",
            "/v1/deliveries?status=failed&error=http_status&eventType=e&since=2026-01-01T00%3A00%3A00Z",
            None,
        ),
        ("deliveries list --webhook w1 --cursor c", "GET", "/v1/webhooks/w1/deliveries?cursor=c", None),
        ("deliveries get dlv_1", "GET", "/v1/deliveries/dlv_1", None),
        ("deliveries redeliver dlv_1", "POST", "/v1/deliveries/dlv_1/redeliver", None),
        ("webhooks get a/../b?c#d", "GET", "/v1/webhooks/a%2F..%2Fb%3Fc%23d", None),
    ],
)
def test_each_command_is_one_request_of_the_api(
    server: Server, arguments: str, method: str, target: str, body: object
) -> None:
    listed = " list" in arguments
    empty = method == "DELETE" and "recoveries" not in arguments
    server.respond(Answer(body=b'{"data":[],"next":null}') if listed else Answer(204, b"") if empty else Answer())
    result = run(*arguments.split())
    assert result.exit_code == 0, result.output
    (seen,) = server.seen
    assert (seen.method, seen.target) == (method, target)
    assert (json.loads(seen.body) if seen.body else None) == body
    assert seen.headers["authorization"] == f"Bearer {TOKEN}"
    assert seen.headers.get("content-type") == (None if body is None else "application/json")


@pytest.mark.parametrize(
    "arguments",
    [
        "tenants update acme",
        "webhooks update w1",
        "webhooks get ..",
        "webhooks rotate-secret w1 --overlap-hours 169",
        "webhooks rotate-secret w1 --secret-file /nonexistent",
        "webhooks create https://a.example/ --secret-file /dev/null",
        "tokens create acme",
        "tokens create acme --permission everything",
        "deliveries list --limit 201",
        "deliveries list --status lost",
        "deliveries list --webhook w1 --tenant acme",
        "webhooks list --url ftp://host",
        "webhooks list --token a --token-file b",
        "events publish /nonexistent/file.json",
        "events publish --idempotency-key ä",
        "webhooks lst",
    ],
)
def test_wrong_usage_ends_with_2_and_asks_nothing(server: Server, arguments: str) -> None:
    result = run(*arguments.split(), input=b"{}")
    assert result.exit_code == 2, result.output
    assert result.stderr
    assert server.seen == []


def test_a_record_reads_as_lines_and_as_the_exact_json(server: Server) -> None:
    server.respond(Answer(body=WEBHOOK))
    assert run("webhooks", "get", "w1X2y3Z4", "--json").stdout_bytes == WEBHOOK + b"\n"
    lines = [line.split() for line in run("webhooks", "get", "w1X2y3Z4").stdout.splitlines()]
    assert ["url", "https://yourapp.com/webhooks"] in lines
    assert ["lastDelivered", "-"] in lines


def test_what_is_shown_only_once_is_said_to_be(server: Server) -> None:
    server.respond(Answer(201, b'{"id":"tok_1","token":"tw_c2VjcmV0"}'))
    result = run("tokens", "create", "acme", "--permission", "publish_events")
    assert "tw_c2VjcmV0" in result.stdout
    assert "not shown again" in result.stderr


@pytest.mark.parametrize("command", ["create https://a.example/x", "rotate-secret w1"])
@pytest.mark.parametrize("from_stdin", [True, False], ids=["stdin", "file"])
def test_a_secret_of_ones_own_comes_from_a_file_or_from_stdin(
    server: Server, command: str, from_stdin: bool, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text("whsec_c2VjcmV0\n")
    name = "-" if from_stdin else str(file)
    result = run("webhooks", *command.split(), "--secret-file", name, input=b"whsec_c2VjcmV0\n")
    assert result.exit_code == 0, result.output
    assert json.loads(server.seen[0].body)["secret"] == "whsec_c2VjcmV0"


def test_all_follows_the_cursors(server: Server) -> None:
    pages = [
        Answer(body=b'{"data":[{"id":"a"}],"next":"c&1"}'),
        Answer(body=b'{"data":[{"id":"b"}],"next":null}'),
    ]
    server.respond(*pages)
    result = run("deliveries", "list", "--all", "--json", "--status", "failed")
    assert json.loads(result.stdout) == {"data": [{"id": "a"}, {"id": "b"}], "next": None}
    assert [seen.target for seen in server.seen] == [
        "/v1/deliveries?limit=200&status=failed",
        "/v1/deliveries?limit=200&status=failed&cursor=c%261",
    ]
    server.respond(*pages)
    assert [line.split()[0] for line in run("deliveries", "list", "--all").stdout.splitlines()] == [
        "ID",
        "a",
        "ID",
        "b",
    ]


def test_without_all_one_page_is_asked_for(server: Server) -> None:
    server.respond(Answer(body=b'{"data":[{"id":"a"}],"next":"c1"}'))
    result = run("deliveries", "list")
    assert "--cursor c1" in result.stderr
    assert len(server.seen) == 1


def test_an_event_is_sent_to_the_byte_from_stdin_and_from_a_file(server: Server, tmp_path: Path) -> None:
    server.respond(Answer(202, ACCEPTED))
    file = tmp_path / "event.json"
    file.write_bytes(EVENT)
    for result in (
        run("events", "publish", input=EVENT),
        run("events", "publish", "-", input=EVENT),
        run("events", "publish", str(file)),
    ):
        assert result.exit_code == 0, result.output
        assert ["deliveries", "2"] in [line.split() for line in result.stdout.splitlines()]
    assert [seen.body for seen in server.seen] == [EVENT] * 3
    assert {seen.headers["content-type"] for seen in server.seen} == {"application/json"}


def test_an_idempotency_key_goes_along(server: Server) -> None:
    server.respond(Answer(202, ACCEPTED))
    run("events", "publish", "--idempotency-key", "session-42", input=EVENT)
    assert server.seen[0].headers["idempotency-key"] == "session-42"


def test_a_batch_reads_as_a_table(server: Server) -> None:
    server.respond(Answer(202, b'{"data":[' + ACCEPTED + b"," + ACCEPTED + b"]}"))
    result = run("events", "publish", input=b'{"events":[]}')
    assert [line.split()[:1] for line in result.stdout.splitlines()] == [["ID"], ["evt_1"], ["evt_1"]]


def test_a_proxy_in_the_environment_is_not_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server.respond(Answer(body=WEBHOOK))
    assert run("webhooks", "get", "w1").exit_code == 0


def test_an_address_with_a_path_keeps_it(server: Server) -> None:
    server.respond(Answer(body=WEBHOOK))
    run("webhooks", "get", "w1", "--url", os.environ["TENANT_WEBHOOKS_URL"] + "/hooks/")
    assert server.seen[0].target == "/hooks/v1/webhooks/w1"


def test_a_daemon_on_a_unix_socket_is_reached(server: Server, tmp_path: Path) -> None:
    server.respond(Answer(body=WEBHOOK))
    place = str(tmp_path / "api.sock")
    with socketserver.ThreadingUnixStreamServer(place, server.handler()) as http, serving(http):
        result = run("webhooks", "get", "w1", "--url", f"unix:{place}")
    assert result.exit_code == 0, result.output
    assert server.seen[0].target == "/v1/webhooks/w1"


def test_a_tenant_is_deleted_only_when_confirmed(server: Server) -> None:
    server.respond(Answer(202, b""))
    refused = run("tenants", "delete", "acme", input=b"n\n")
    assert refused.exit_code == 1
    assert server.seen == []
    assert run("tenants", "delete", "acme", input=b"y\n").exit_code == 0
    assert len(server.seen) == 1


def test_text_that_the_terminal_cannot_show_does_not_end_a_command(server: Server) -> None:
    server.respond(Answer(body='{"name":"Zürich 東京"}'.encode()))
    command = [sys.executable, "-m", "daemon.cli", "webhooks", "get", "w1"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    result = subprocess.run(command, capture_output=True, timeout=20, check=False, env=environment)
    assert (result.returncode, result.stderr) == (0, b"")
    assert b"Z\\xfcrich" in result.stdout


def test_the_version_is_told() -> None:
    assert run("--version").stdout == f"tenant-webhooks {__version__}\n"
