"""What is refused, each with its exact status, type and place; and nothing of it leaves a trace."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from api_house import URL, House, house, problem, session

from daemon.settings import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NAME = "onboard.session.completed"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path, limits=Limits(event_bytes=2000, batch_events=5)) as running:
        yield running


WEBHOOKS: list[tuple[Any, str, str]] = [
    ({}, "invalid", "/url"),
    ({"url": None}, "invalid", "/url"),
    ({"url": 7}, "invalid", "/url"),
    ({"url": ""}, "invalid", "/url"),
    ({"url": "/hook"}, "invalid", "/url"),
    ({"url": "example.com/hook"}, "invalid", "/url"),
    ({"url": "//example.com/hook"}, "invalid", "/url"),
    ({"url": "ftp://example.com/hook"}, "invalid", "/url"),
    ({"url": "file:///etc/passwd"}, "invalid", "/url"),
    ({"url": "https://user:pass@example.com/"}, "invalid", "/url"),
    ({"url": "https://example.com/#part"}, "invalid", "/url"),
    ({"url": "https://example.com:0/"}, "invalid", "/url"),
    ({"url": "https://example.com/" + "x" * 2048}, "invalid", "/url"),
    ({"url": "http://127.0.0.1/hook"}, "blocked-address", "/url"),
    ({"url": "http://10.0.0.1/"}, "blocked-address", "/url"),
    ({"url": "http://169.254.169.254/latest/meta-data"}, "blocked-address", "/url"),
    ({"url": "http://2130706433/"}, "blocked-address", "/url"),
    ({"url": "http://0x7f.1/"}, "blocked-address", "/url"),
    ({"url": "http://[::1]/"}, "blocked-address", "/url"),
    ({"url": "http://[::ffff:192.168.0.1]/"}, "blocked-address", "/url"),
    ({"url": URL, "events": []}, "invalid", "/events"),
    ({"url": URL, "events": ["nothing.happened"]}, "invalid", "/events/0"),
    ({"url": URL, "events": [NAME, "webhook.ping"]}, "invalid", "/events/1"),
    ({"url": URL, "events": NAME}, "invalid", "/events"),
    ({"url": URL, "events": [NAME, 3]}, "invalid", "/events/1"),
    ({"url": URL, "name": "x" * 256}, "invalid", "/name"),
    ({"url": URL, "name": 5}, "invalid", "/name"),
    ({"url": URL, "active": "true"}, "invalid", "/active"),
    ({"url": URL, "active": 1}, "invalid", "/active"),
    ({"url": URL, "retries": 3}, "invalid", "/retries"),
    ({"url": URL, "a/b~c": 3}, "invalid", "/a~1b~0c"),
    ({"url": URL, "Url": URL}, "invalid", "/Url"),
    ([], "invalid", ""),
    ("x", "invalid", ""),
    (None, "invalid", ""),
]


async def test_a_registration_that_is_wrong_is_refused_where_it_is_wrong_and_stores_nothing(api: House) -> None:
    token = await api.tenant()
    for document, slug, pointer in WEBHOOKS:
        body = json.dumps(document).encode()
        answer = await api.ask("POST", "/v1/webhooks", token=token, content=body)
        assert problem(answer) == (422, slug, pointer), document
    assert (await api.ask("GET", "/v1/webhooks", token=token)).json()["data"] == []


async def test_a_change_that_is_wrong_is_refused_and_changes_nothing(api: House) -> None:
    token = await api.tenant()
    made = await api.webhook(token)
    path = f"/v1/webhooks/{made['id']}"
    for document, slug, pointer in WEBHOOKS:
        if isinstance(document, dict) and document.get("url") is None:
            continue  # nothing is required of a change, and null is left out
        answer = await api.ask("PATCH", path, token=token, content=json.dumps(document).encode())
        assert problem(answer) == (422, slug, pointer), document
    del made["secret"]
    assert (await api.ask("GET", path, token=token)).json() == made


async def test_the_reason_for_a_blocked_address_names_the_setting_that_opens_it(api: House) -> None:
    token = await api.tenant()
    answer = await api.ask("POST", "/v1/webhooks", {"url": "http://10.0.0.1/"}, token=token)
    assert "egress.allow" in answer.json()["detail"]
    assert "egress.tenants.acme.allow" in answer.json()["detail"]


async def test_every_culprit_is_listed(api: House) -> None:
    token = await api.tenant()
    document = {"url": "ftp://x", "events": ["a", NAME, "b"]}
    answer = await api.ask("POST", "/v1/webhooks", document, token=token)
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/url", "/events/0", "/events/2"]


BAD_SESSIONS: list[tuple[dict[str, Any], str]] = [
    ({"event": "x", "session": {"id": "a", "status": "b"}}, "/event"),
    ({"event": "webhook.ping", "session": {"id": "a", "status": "b"}}, "/event"),
    ({"session": {"id": "a", "status": "b"}}, "/event"),
    ({"event": NAME}, "/session"),
    ({"event": NAME, "session": {}}, "/session/id"),
    ({"event": NAME, "session": {"id": "a"}}, "/session/status"),
    ({"event": NAME, "session": {"id": "", "status": "b"}}, "/session/id"),
    ({"event": NAME, "session": {"id": "a" * 129, "status": "b"}}, "/session/id"),
    ({"event": NAME, "session": {"id": "a", "status": "b" * 65}}, "/session/status"),
    ({"event": NAME, "session": {"id": 7, "status": "b"}}, "/session/id"),
    ({"event": NAME, "session": {"id": "a", "status": "b", "x": 1}}, "/session/x"),
    ({"event": NAME, "session": {"id": "a", "status": "b", "created": "2025-10-21T10:00:00"}}, "/session/created"),
    ({"event": NAME, "session": {"id": "a", "status": "b", "updated": "yesterday"}}, "/session/updated"),
    ({**session(), "timestamp": "2025-10-21"}, "/timestamp"),
    ({**session(), "timestamp": 1}, "/timestamp"),
    ({**session(), "idempotencyKey": ""}, "/idempotencyKey"),
    ({**session(), "idempotencyKey": "a b"}, "/idempotencyKey"),
    ({**session(), "idempotencyKey": "a\n"}, "/idempotencyKey"),
    ({**session(), "idempotencyKey": "é"}, "/idempotencyKey"),
    ({**session(), "idempotencyKey": "a" * 256}, "/idempotencyKey"),
    ({**session(), "payload": {}}, "/payload"),
    (
        {"event": NAME, "session": {"id": "a", "status": "b", "progress": {"ais": {"completed": "yes"}}}},
        "/session/progress/ais/completed",
    ),
    ({"event": NAME, "session": {"id": "a", "status": "b", "progress": {"bank": None}}}, "/session/progress/bank"),
]


async def test_an_answer_does_not_grow_with_what_was_sent(api: House) -> None:
    token = await api.tenant()
    for path, body in {
        "/v1/webhooks": {"url": "nonsense", "events": ["a"] * 10_000},
        "/v1/webhooks?": {"x" * 60_000: 1},
        "/v1/events": {"events": [1] * 900},
        "/v1/events?": {"events": [{"x" * 300: 1}] * 10},
    }.items():
        answer = await api.ask("POST", path, body, token=token)
        assert answer.status_code == 422
        assert 1 <= len(answer.json()["errors"]) <= 20
        assert len(answer.content) < 16_384


async def test_an_event_that_is_wrong_is_refused_alone_or_with_its_batch_and_stores_nothing(api: House) -> None:
    token = await api.tenant()
    await api.webhook(token)
    for document, pointer in BAD_SESSIONS:
        answer = await api.ask("POST", "/v1/events", document, token=token)
        assert problem(answer) == (422, "invalid", pointer), document
        batch = {"events": [session(), session(), document, session()]}
        answer = await api.ask("POST", "/v1/events", batch, token=token)
        assert problem(answer) == (422, "invalid", f"/events/2{pointer}"), document
    assert (await api.ask("GET", "/v1/deliveries", token=token)).json()["data"] == []


async def test_a_batch_out_of_bounds_is_refused_and_every_wrong_item_named(api: House) -> None:
    token = await api.tenant()
    large = session("a", timestamp="2025-10-21T11:00:00" + "0" * 2000 + "Z")
    cases: list[tuple[Any, tuple[int, str, str]]] = [
        ({"events": []}, (422, "invalid", "/events")),
        ({"events": {}}, (422, "invalid", "/events")),
        ({"events": [1]}, (422, "invalid", "/events/0")),
        ({"events": [session()], "event": NAME}, (422, "invalid", "/event")),
        ({"events": [session()] * 6}, (422, "invalid", "/events")),
        ({"events": [session(), large]}, (413, "too-large", "/events/1")),
        (large, (413, "too-large", "")),
    ]
    for document, expected in cases:
        assert problem(await api.ask("POST", "/v1/events", document, token=token)) == expected, document
    batch = {"events": [session(), {"event": "x"}, session(), {"event": NAME}]}
    answer = await api.ask("POST", "/v1/events", batch, token=token)
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/events/1/event", "/events/3/session"]


async def test_a_tenant_or_token_that_is_wrong_is_refused_where_it_is_wrong(api: House) -> None:
    await api.tenant()
    for id in ("", "A", "_a", "-a", "a b", "é", "a" * 64, "a/b", "acme\n", 7, None):
        answer = await api.ask("POST", "/v1/tenants", {"id": id})
        assert problem(answer) == (422, "invalid", "/id"), id
    for document, pointer in (
        ({}, "/permissions"),
        ({"permissions": []}, "/permissions"),
        ({"permissions": ["everything"]}, "/permissions/0"),
        ({"permissions": ["publish_events"], "expires": "2020-01-01T00:00:00Z"}, "/expires"),
        ({"permissions": ["publish_events"], "expires": "2999-01-01T00:00:00"}, "/expires"),
        ({"permissions": ["publish_events"], "expires": 5}, "/expires"),
        ({"permissions": ["publish_events"], "token": "mine"}, "/token"),
    ):
        assert problem(await api.ask("POST", "/v1/tenants/acme/tokens", document)) == (422, "invalid", pointer), (
            document
        )
    assert problem(await api.ask("POST", "/v1/tenants", {"id": "acme"}))[:2] == (409, "conflict")
    assert problem(await api.ask("DELETE", "/v1/tenants/acme"))[:2] == (409, "conflict")


async def test_a_parameter_that_is_unknown_repeated_or_wrong_is_refused_by_name(api: House) -> None:
    token = await api.tenant()
    for path, parameter in (
        ("/v1/webhooks?active=yes", "active"),
        ("/v1/webhooks?limit=0", "limit"),
        ("/v1/webhooks?cursor=x", "cursor"),
        ("/v1/deliveries?status=lost", "status"),
        ("/v1/deliveries?error=oops", "error"),
        ("/v1/deliveries?since=2025-10-21", "since"),
        ("/v1/deliveries?until=2025-10-21T11:00:00", "until"),
        ("/v1/deliveries?since=2025-10-21T11:00:00+02:00", "since"),
        ("/v1/deliveries?event_type=x", "event_type"),
        ("/v1/deliveries?limit=1&limit=2", "limit"),
        ("/v1/deliveries?x%26y=1", "x&y"),
    ):
        answer = await api.ask("GET", path, token=token)
        assert problem(answer) == (422, "invalid", parameter), path
        assert "pointer" not in answer.json()["errors"][0]


async def test_a_body_that_is_too_large_of_another_type_or_not_json_is_refused_in_that_order(api: House) -> None:
    token = await api.tenant()
    json_type = {"content-type": "application/json"}
    for content, headers, expected in (
        (b"", json_type, (400, "not-json")),
        (b"{", json_type, (400, "not-json")),
        (b"url=https://example.com", {}, (400, "not-json")),
        (b'{"url":"https://example.com/\xff"}', json_type, (400, "not-json")),
        (b'{"secret":"\xff","url":"https://example.com/"}', json_type, (400, "not-json")),
        (b"{}", {"content-type": "text/plain"}, (415, "unsupported-media-type")),
        (b"{}", {"content-type": "application/x-www-form-urlencoded"}, (415, "unsupported-media-type")),
        (b"{}", {"content-type": "application/json", "content-encoding": "gzip"}, (415, "unsupported-media-type")),
        (b"x" * (5 << 20), json_type, (413, "too-large")),
        (b"x" * (5 << 20), {"content-type": "text/plain"}, (413, "too-large")),
        (b"{}", {"content-type": "application/merge-patch+json; charset=utf-8"}, (422, "invalid")),
        (b"{}", {}, (422, "invalid")),
    ):
        answer = await api.ask("POST", "/v1/webhooks", token=token, content=content, headers=headers)
        assert problem(answer)[:2] == expected, (content[:40], headers)


async def test_a_token_may_do_what_its_permissions_say_and_nothing_else(api: House) -> None:
    hooks = await api.tenant("acme", "manage_webhooks")
    events = await api.token("acme", "publish_events")
    revoked = await api.ask("POST", "/v1/tenants/acme/tokens", {"permissions": ["manage_webhooks"]})
    await api.ask("DELETE", f"/v1/tenants/acme/tokens/{revoked.json()['id']}")
    for token, method, path, expected in (
        (None, "GET", "/v1/webhooks", (401, "unauthorized")),
        ("tw_nobody", "GET", "/v1/webhooks", (401, "unauthorized")),
        (revoked.json()["token"], "GET", "/v1/webhooks", (401, "unauthorized")),
        (events, "GET", "/v1/webhooks", (403, "forbidden")),
        (events, "GET", "/v1/deliveries", (403, "forbidden")),
        (hooks, "POST", "/v1/events", (403, "forbidden")),
        (hooks, "GET", "/v1/tenants", (403, "forbidden")),
        (hooks, "GET", "/metrics", (403, "forbidden")),
        (None, "GET", "/metrics", (401, "unauthorized")),
    ):
        answer = await api.ask(method, path, token=token)
        assert problem(answer)[:2] == expected, (token, path)
        assert ("www-authenticate" in answer.headers) == (answer.status_code == 401)


async def test_two_tokens_in_one_request_are_none(api: House) -> None:
    token = await api.tenant()
    for both in ([token, "tw_nobody"], ["tw_nobody", token], [token, token]):
        headers = [("authorization", f"Bearer {one}") for one in both]
        answer = await api.client.get(f"http://{api.addresses['main']}/v1/webhooks", headers=headers)
        assert problem(answer)[:2] == (401, "unauthorized")


async def test_a_token_is_refused_from_the_moment_it_expires(api: House) -> None:
    await api.tenant()
    assert problem(await api.ask("GET", "/v1/webhooks", token=await api.aged_token("acme")))[:2] == (
        401,
        "unauthorized",
    )
    later = await api.token("acme", expires="2999-01-01T00:00:00+02:00")
    assert (await api.ask("GET", "/v1/webhooks", token=later)).status_code == 200
