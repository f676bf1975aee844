"""What a request leaves behind: one line and one count, and never a secret; a bug is answered, logged and contained."""

from __future__ import annotations

import io
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

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
    assert len(requests) == 9
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


async def everything(api: House) -> list[str]:
    token = await api.tenant()
    made = await api.webhook(token, url="https://example.com/hidden?key=hunter2")
    path = f"/v1/webhooks/{made['id']}"
    await api.ask("PATCH", path, {"name": "n"}, token=token)
    await api.ask("POST", "/v1/events", session("payload-of-a-session"), token=token)
    await api.ask("DELETE", f"{path}", token=token)
    await api.ask("GET", "/v1/nowhere?password=hunter3", token=token)
    tokens = (await api.ask("GET", "/v1/tenants/acme/tokens")).json()["data"]
    await api.ask("DELETE", f"/v1/tenants/acme/tokens/{tokens[0]['id']}")
    return [token, OPERATOR, made["secret"], "hunter2", "hunter3", "payload-of-a-session", "/hidden", "nowhere"]
