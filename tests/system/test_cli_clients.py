"""The API from a terminal, against a server that answers as CONTRACT's API does, or as no API should."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import socketserver
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple

import pytest
from click.testing import CliRunner

from daemon import __version__
from daemon.cli.root import cli

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

TOKEN = "tw_0123456789abcdef"
WEBHOOK = (
    b'{"id":"w1X2y3Z4","url":"https://yourapp.com/webhooks","name":"Production","events":["onboard.session.completed"],'
    b'"active":true,"created":"2025-10-21T10:00:00Z","updated":"2025-10-21T10:00:00Z","lastDelivered":null,'
    b'"deliveryAttempts":0,"lastDelivery":null}'
)
ACCEPTED = (
    b'{"id":"evt_1","event":"onboard.session.completed","created":"2025-10-21T10:00:00.000Z",'
    b'"deliveries":2,"duplicate":false}'
)
EVENT = b'{ "event": "onboard.session.completed",  "session": {"id": "42", "status": "Complete"} }'


class Answer(NamedTuple):
    status: int = 200
    body: bytes = b"{}"
    kind: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


class Seen(NamedTuple):
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Server:
    """Gives `answers` in turn, the last one again and again; None closes without one. Remembers what was asked."""

    def __init__(self) -> None:
        self.answers: list[Answer | None] = [Answer()]
        self.seen: list[Seen] = []

    def respond(self, *answers: Answer | None) -> None:
        self.answers = list(answers)

    def handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                server.seen.append(Seen(self.command, self.path, headers, body))
                answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
                if answer is None:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.kind)
                self.send_header("Content-Length", str(len(answer.body)))
                for name, value in answer.headers:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_arguments: object) -> None:
                """Quiet."""

        return Handler


@contextlib.contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in [name for name in os.environ if name.startswith("TENANT_WEBHOOKS_")]:
        monkeypatch.delenv(name)
    script = Server()
    with ThreadingHTTPServer(("127.0.0.1", 0), script.handler()) as http, serving(http):
        monkeypatch.setenv("TENANT_WEBHOOKS_URL", f"http://127.0.0.1:{http.server_address[1]}")
        monkeypatch.setenv("TENANT_WEBHOOKS_TOKEN", TOKEN)
        yield script


def run(*arguments: str, input: bytes | None = None) -> Result:
    return CliRunner().invoke(cli, arguments, input=input)


def problem(status: int, **fields: object) -> Answer:
    return Answer(status, json.dumps({"status": status, **fields}).encode(), "application/problem+json")


@pytest.mark.parametrize(
    ("arguments", "method", "target", "body"),
    [
        ("tenants list", "GET", "/v1/tenants", None),
        ("tenants get acme", "GET", "/v1/tenants/acme", None),
        ("tenants create acme --name Acme", "POST", "/v1/tenants", {"id": "acme", "name": "Acme"}),
        ("tenants update acme --inactive", "PATCH", "/v1/tenants/acme", {"active": False}),
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
        ("webhooks delete w1", "DELETE", "/v1/webhooks/w1", None),
        ("webhooks ping w1", "POST", "/v1/webhooks/w1/ping", None),
        ("events get evt_1", "GET", "/v1/events/evt_1", None),
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
    server.respond(
        Answer(body=b'{"data":[],"next":null}') if listed else Answer(204, b"") if method == "DELETE" else Answer()
    )
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
    server.respond(Answer(201, b'{"id":"w1","secret":"whsec_c2VjcmV0"}'))
    result = run("webhooks", "create", "https://a.example/")
    assert "whsec_c2VjcmV0" in result.stdout
    assert "not shown again" in result.stderr


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


def test_a_problem_is_told_to_people_and_handed_to_programs(server: Server) -> None:
    refusal = problem(
        422,
        type="/problems/invalid",
        title="The request is invalid",
        detail="Correct 1 value.",
        errors=[{"pointer": "/url", "detail": "must be absolute"}],
    )
    server.respond(refusal)
    told = run("webhooks", "create", "x")
    assert told.exit_code == 1
    assert told.stdout == ""
    for words in ("The request is invalid", "422", "Correct 1 value.", "/url: must be absolute"):
        assert words in told.stderr
    handed = run("webhooks", "create", "x", "--json")
    assert handed.exit_code == 1
    assert handed.stderr.encode() == refusal.body + b"\n"
    assert handed.stdout == ""


def test_an_error_on_the_first_page_leaves_nothing_on_stdout(server: Server) -> None:
    server.respond(problem(503, title="Storage is unavailable"))
    result = run("deliveries", "list", "--all", "--json")
    assert (result.exit_code, result.stdout) == (1, "")


def test_a_refusal_for_now_says_when_to_try_again(server: Server) -> None:
    full = problem(503, title="The backlog is full", detail="Wait.")
    server.respond(full._replace(headers=(("Retry-After", "7"),)))
    assert "try again in 7 s" in run("events", "publish", input=EVENT).stderr


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, b"<html>", "text/html"),
        Answer(502, b"<html>", "text/html"),
        Answer(200, b"", "application/json"),
        Answer(200, b"[1", "application/json"),
        Answer(500, b"[1", "application/problem+json"),
    ],
)
def test_an_answer_that_is_not_the_apis_is_said_to_be_none(server: Server, answer: Answer) -> None:
    server.respond(answer)
    result = run("webhooks", "get", "w1")
    assert result.exit_code == 1
    assert "not an answer of this API" in result.stderr


def test_a_redirect_is_not_followed_and_the_token_stays_here(server: Server) -> None:
    server.respond(Answer(302, b"", headers=(("Location", "/elsewhere"),)))
    result = run("webhooks", "list")
    assert result.exit_code == 1
    assert "redirect" in result.stderr
    assert len(server.seen) == 1


@pytest.mark.parametrize("as_json", [False, True])
def test_a_daemon_that_cannot_be_reached_is_named_with_what_to_do(as_json: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    result = run("webhooks", "list", "--url", url, "--token", TOKEN, *(["--json"] if as_json else []))
    assert result.exit_code == 1
    text = json.loads(result.stderr)["detail"] if as_json else result.stderr
    assert url in text
    assert "tenant-webhooks serve" in text
    assert "TENANT_WEBHOOKS_URL" in text
    assert TOKEN not in result.output


def test_a_connection_lost_after_a_write_leaves_the_doubt_in_words(server: Server) -> None:
    server.respond(None)
    lost = run("events", "publish", input=EVENT)
    assert lost.exit_code == 1
    assert "may have been carried out" in lost.stderr
    assert "may have been carried out" not in run("events", "get", "evt_1").stderr


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


@pytest.mark.parametrize("as_json", [False, True])
def test_a_reader_that_goes_away_ends_a_command_without_a_traceback(server: Server, as_json: bool) -> None:
    item = b'{"id":"' + b"d" * 1000 + b'"}'
    server.respond(Answer(body=b'{"data":[' + b",".join([item] * 200) + b'],"next":"again"}'))
    command = [sys.executable, "-m", "daemon.cli", "deliveries", "list", "--all", *(["--json"] if as_json else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read(10)
        process.stdout.close()
        _, errors = process.communicate(timeout=20)
    assert errors == b""
    assert process.returncode == 1


def test_a_reader_that_is_gone_already_ends_a_command_without_a_traceback(server: Server) -> None:
    server.respond(Answer(body=WEBHOOK))
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "daemon.cli", "webhooks", "get", "w1"]
    with os.fdopen(writing, "wb") as stdout:
        result = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, timeout=20, check=False)
    assert (result.returncode, result.stderr) == (1, b"")


def test_text_that_the_terminal_cannot_show_does_not_end_a_command(server: Server) -> None:
    server.respond(Answer(body='{"name":"Zürich 東京"}'.encode()))
    command = [sys.executable, "-m", "daemon.cli", "webhooks", "get", "w1"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    result = subprocess.run(command, capture_output=True, timeout=20, check=False, env=environment)
    assert (result.returncode, result.stderr) == (0, b"")
    assert b"Z\\xfcrich" in result.stdout


def test_the_version_is_told() -> None:
    assert run("--version").stdout == f"tenant-webhooks {__version__}\n"
