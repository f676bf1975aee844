"""What a command says and how it ends when the API refuses, answers as none should, or nobody reads."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from scripted_api import EVENT, TOKEN, WEBHOOK, Answer, Server, problem, run, scripted

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with scripted(monkeypatch) as script:
        yield script


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


def test_what_the_detail_says_of_the_one_culprit_is_not_said_twice(server: Server) -> None:
    errors = [{"pointer": "/url", "detail": "must be absolute"}]
    server.respond(problem(422, title="Invalid", detail="/url: must be absolute", errors=errors))
    assert run("webhooks", "create", "x").stderr.count("must be absolute") == 1


def test_where_a_tenant_is_required_the_option_for_it_is_named(server: Server) -> None:
    server.respond(problem(422, type="/problems/tenant-required", title="Tenant required", detail="Add ?tenant=<id>."))
    assert "--tenant ID" in run("webhooks", "list").stderr


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
