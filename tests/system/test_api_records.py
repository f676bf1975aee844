"""What a request leaves behind: one line and one count, and never a secret; a bug is answered, logged and contained."""

from __future__ import annotations

import base64
import io
import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import trio
from api_house import OPERATOR, House, house, problem, session

from daemon.front_end.decoding import NO_BODY
from daemon.front_end.query import NoQuery
from daemon.front_end.routes import ROUTES
from daemon.front_end.routing import Call, Reply, Route, nothing
from daemon.operations import logs
from daemon.settings import LoggingSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def logged() -> Iterator[list[dict[str, Any]]]:
    """The lines of the log, complete once the block has ended."""
    stream, lines = io.StringIO(), list[dict[str, Any]]()
    writer = logs.start(LoggingSettings(level="debug", format="json"), stream)
    try:
        yield lines
    finally:
        writer.close(5)
        lines += map(json.loads, stream.getvalue().splitlines())


async def fails(call: Call[None, None, NoQuery]) -> Reply:
    raise RuntimeError("a secret of the inside")


BROKEN = Route(
    name="broken",
    method="GET",
    path="/v1/broken",
    access="open",
    find=nothing,
    body=NO_BODY,
    query=NoQuery,
    handler=fails,
)


async def test_a_bug_in_a_handler_is_answered_without_a_word_of_the_inside(tmp_path: Path) -> None:
    with logged() as lines:
        async with house(tmp_path, routes=(*ROUTES, BROKEN)) as api:
            answer = await api.ask("GET", "/v1/broken", token=None)
            assert problem(answer)[:2] == (500, "internal")
            assert "inside" not in answer.text
            assert "retry-after" not in answer.headers
            assert (await api.ask("GET", "/healthz", token=None)).status_code == 200
    [line] = [line for line in lines if line.get("route") == "/v1/broken"]
    assert (line["event"], line["level"], line["status"]) == ("http.request", "error", 500)
    assert "a secret of the inside" in json.dumps(line)
    assert "test_api_records:" in json.dumps(line)


async def test_every_request_is_one_line_without_secrets(tmp_path: Path) -> None:
    with logged() as lines:
        async with house(tmp_path) as api:
            secrets = await everything(api)
    requests = [line for line in lines if line["event"] == "http.request"]
    assert len(requests) == 10
    assert requests[2].items() >= {"method": "POST", "route": "/v1/webhooks", "status": 201, "tenant": "acme"}.items()
    assert requests[0]["token"] == "operator"
    assert requests[2]["token"].startswith("tok_")
    named = [line["event"] for line in lines]
    for event in ("token.created", "webhook.created", "webhook.updated", "webhook.deleted", "token.revoked"):
        assert named.count(event) == 1, event
    assert named.count("event.accepted") == 1
    text = json.dumps(lines)
    for secret in secrets:
        assert secret not in text


async def test_what_is_refused_before_its_route_is_known_is_logged_and_counted_too(tmp_path: Path) -> None:
    with logged() as lines:
        async with house(tmp_path) as api:
            answer = await raw(api, b"GET http://evil.example/?q=hunter4 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 400 ")
            counted = (await api.ask("GET", "/metrics")).text
    [line] = [line for line in lines if line.get("route") == "malformed"]
    assert line.items() >= {"event": "http.request", "role": "main", "status": 400, "method": None}.items()
    assert line["ms"] >= 0
    assert "hunter4" not in json.dumps(lines)
    assert 'http_requests_total{method="other",route="malformed",status="400"} 1.0' in counted


async def test_a_body_that_never_ends_is_recorded_with_the_status_it_was_answered_with(tmp_path: Path) -> None:
    with logged() as lines:
        async with house(tmp_path, request_timeout=0.1) as api:
            head = f"POST /v1/tenants HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {OPERATOR}\r\n"
            answer = await raw(api, f"{head}Content-Length: 9\r\n\r\n{{".encode())
            assert answer.startswith(b"HTTP/1.1 408 ")
            counted = (await api.ask("GET", "/metrics")).text
    [line] = [line for line in lines if line.get("route") == "/v1/tenants"]
    assert (line["status"], line["token"]) == (408, "operator")
    assert 'http_requests_total{method="POST",route="/v1/tenants",status="408"} 1.0' in counted
    assert "malformed" not in counted


async def raw(api: House, request: bytes) -> bytes:
    """Everything that is answered to these bytes, until the daemon closes."""
    host, _, port = api.addresses["main"].rpartition(":")
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        await stream.send_all(request)
        return b"".join([chunk async for chunk in stream])


async def everything(api: House) -> list[str]:
    token = await api.tenant()
    made = await api.webhook(token, url="https://example.com/hidden?key=hunter2")
    path = f"/v1/webhooks/{made['id']}"
    await api.ask("PATCH", path, {"name": "n"}, token=token)
    await api.ask("POST", "/v1/events", session("payload-of-a-session"), token=token)
    for _ in range(2):
        await api.ask("DELETE", path, token=token)
    await api.ask("GET", "/v1/nowhere?password=hunter3", token=token)
    tokens = (await api.ask("GET", "/v1/tenants/acme/tokens")).json()["data"]
    await api.ask("DELETE", f"/v1/tenants/acme/tokens/{tokens[0]['id']}")
    return [token, OPERATOR, made["secret"], "hunter2", "hunter3", "payload-of-a-session", "/hidden", "nowhere"]


async def test_a_rotation_is_one_line_and_no_secret_is_in_any(tmp_path: Path) -> None:
    own, next_own, refused = ("whsec_" + base64.b64encode(os.urandom(size)).decode() for size in (32, 33, 23))
    with logged() as lines:
        async with house(tmp_path) as api:
            token = await api.tenant()
            made = await api.webhook(token, secret=own)
            path = f"/v1/webhooks/{made['id']}/secret"
            shown = (await api.ask("GET", path, token=token)).json()["secret"]
            rotation = {"overlapHours": 1, "secret": next_own}
            assert (await api.ask("POST", f"{path}/rotate", rotation, token=token)).status_code == 200
            assert (await api.ask("POST", f"{path}/rotate", {"secret": refused}, token=token)).status_code == 422
            made_here = (await api.ask("POST", f"{path}/rotate", token=token)).json()["secret"]
    first, second = (line for line in lines if line["event"] == "webhook.secret_rotated")
    assert first.items() >= {"tenant": "acme", "webhook": made["id"], "overlap_hours": 1, "own": True}.items()
    assert second.items() >= {"overlap_hours": 24, "own": False, "signing": 3}.items()
    text = json.dumps(lines)
    assert shown == own
    for secret in (own, next_own, refused, made_here):
        assert secret.removeprefix("whsec_")[:12] not in text
