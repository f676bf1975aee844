"""A request that is wrong in many ways is told of the first in the order of CONTRACT §7, and mends them one by one."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import pytest
from api_house import OPERATOR, URL, House, house, problem

from daemon.settings import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HUGE = b"{" + b" " * (5 << 20)
TEXT = {"content-type": "text/plain"}
JSON = {"content-type": "application/json"}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path, limits=Limits(webhooks_per_tenant=1)) as running:
        yield running


async def test_a_change_is_checked_in_order(api: House) -> None:
    token, other = await api.tenant("acme"), await api.tenant("globex")
    events = await api.token("acme", "publish_events")
    await api.webhook(token)
    mine = (await api.webhook(token, active=False))["id"]
    theirs = (await api.webhook(other))["id"]
    # Method, path, token, body, headers; each row mends one fault of the row above.
    steps: list[tuple[str, str, str | None, bytes, dict[str, str], int, str]] = [
        ("PATCH", "/v1/webhook/x?y=1", None, HUGE, TEXT, 404, "not-found"),
        ("PUT", f"/v1/webhooks/{theirs}?y=1", None, HUGE, TEXT, 405, "method-not-allowed"),
        ("PATCH", f"/v1/webhooks/{theirs}?y=1", None, HUGE, TEXT, 401, "unauthorized"),
        ("PATCH", f"/v1/webhooks/{theirs}?y=1", events, HUGE, TEXT, 403, "forbidden"),
        ("PATCH", f"/v1/webhooks/{theirs}?y=1", token, HUGE, TEXT, 404, "not-found"),
        ("PATCH", f"/v1/webhooks/{mine}?y=1", token, HUGE, TEXT, 413, "too-large"),
        ("PATCH", f"/v1/webhooks/{mine}?y=1", token, b"{", TEXT, 415, "unsupported-media-type"),
        ("PATCH", f"/v1/webhooks/{mine}?y=1", token, b"{", JSON, 400, "not-json"),
        ("PATCH", f"/v1/webhooks/{mine}?y=1", token, b'{"active":1}', JSON, 422, "invalid"),
        ("PATCH", f"/v1/webhooks/{mine}?y=1", token, b'{"active":true}', JSON, 422, "invalid"),
        ("PATCH", f"/v1/webhooks/{mine}", token, b'{"active":true,"url":"x"}', JSON, 422, "invalid"),
        ("PATCH", f"/v1/webhooks/{mine}", token, b'{"active":true}', JSON, 409, "limit-reached"),
    ]
    for method, path, asking, content, headers, status, slug in steps:
        answer = await api.ask(method, path, token=asking, content=content, headers=headers)
        assert problem(answer)[:2] == (status, slug), (method, path)


async def test_a_publish_is_checked_in_order(api: House) -> None:
    await api.tenant("globex")
    token = await api.tenant("acme")
    wrong_tenant = b'{"event":"x","tenant":"globex","session":{"id":"a","status":"b"}}'
    steps: list[tuple[str, str | None, bytes, dict[str, str], int, str]] = [
        ("/v1/events?tenant=globex", token, HUGE, TEXT, 403, "forbidden"),
        ("/v1/events?tenant=nobody", token, HUGE, TEXT, 403, "forbidden"),
        ("/v1/events?tenant=nobody", OPERATOR, HUGE, TEXT, 404, "not-found"),
        ("/v1/events?tenant=globex", OPERATOR, HUGE, TEXT, 413, "too-large"),
        ("/v1/events", token, wrong_tenant, JSON, 403, "forbidden"),
        ("/v1/events", OPERATOR, b"{", JSON, 400, "not-json"),
        ("/v1/events", OPERATOR, b'{"event":"x"}', JSON, 422, "invalid"),
        (
            "/v1/events",
            OPERATOR,
            b'{"event":"onboard.session.completed","session":{"id":"a","status":"b"}}',
            JSON,
            422,
            "tenant-required",
        ),
    ]
    for path, asking, content, headers, status, slug in steps:
        answer = await api.ask("POST", path, token=asking, content=content, headers=headers)
        assert problem(answer)[:2] == (status, slug), (path, content[:60])


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/v1/webhooks", "GET, HEAD, POST"),
        ("/v1/tenant/webhooks/x", "DELETE, GET, HEAD, PATCH"),
        ("/v1/onboard/webhooks/x/ping", "POST"),
        ("/v1/events", "GET, HEAD, POST"),
        ("/v1/webhooks/x/stats", "GET, HEAD"),
        ("/v1/deliveries/x/redeliver", "POST"),
        ("/v1/tenants/x/tokens/y", "DELETE"),
        ("/healthz", "GET, HEAD"),
    ],
)
async def test_every_other_method_is_answered_with_those_that_are_allowed(api: House, path: str, allow: str) -> None:
    for method in ("PUT", "OPTIONS", "TRACE", "PROPFIND"):
        answer = await api.ask(method, path, token=None)
        assert problem(answer)[:2] == (405, "method-not-allowed")
        assert answer.headers["allow"] == allow


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/",
            "/v1",
            "/v1/",
            "/v1/webhooks/",
            "/v1/webhooks/x/",
            "/v1/webhooks/x/y",
            "/V1/webhooks",
            "/v1/webhooks/%00/x",
        ),
        *(
            "//v1/webhooks",
            "/v1//webhooks",
            "/v1%2Fwebhooks",
            "/v1/webhooks%2f",
            "/%2fv1/webhooks",
            "/%ff",
            "/problems/",
        ),
        *("/v1/tenant/events", "/v1/onboard/deliveries", "/static/x"),
    ],
)
async def test_a_path_without_a_route_is_not_found_and_never_redirected(api: House, path: str) -> None:
    for token in (None, OPERATOR):
        assert problem(await api.ask("GET", path, token=token))[:2] == (404, "not-found")


async def test_another_tenants_webhook_takes_no_other_time_than_an_unknown_one(api: House) -> None:
    token, other = await api.tenant("acme"), await api.tenant("globex")
    theirs = (await api.webhook(other))["id"]
    fastest = {theirs: 1.0, "w0000000": 1.0}
    for _ in range(60):
        for id in fastest:
            began = perf_counter()
            await api.ask("GET", f"/v1/webhooks/{id}", token=token)
            fastest[id] = min(fastest[id], perf_counter() - began)
    # Seconds; a read more or less would be several times this.
    assert abs(fastest[theirs] - fastest["w0000000"]) < 0.0005


async def test_a_head_request_is_answered_like_a_get_without_its_body(api: House) -> None:
    token = await api.tenant()
    get = await api.ask("GET", "/v1/webhooks", token=token)
    head = await api.ask("HEAD", "/v1/webhooks", token=token)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]


async def test_another_tenants_objects_cannot_be_told_from_unknown_ones(api: House) -> None:
    token, other = await api.tenant("acme"), await api.tenant("globex")
    webhook = (await api.webhook(other))["id"]
    event = (await api.publish(other, "a"))[0]["id"]
    delivery = (await api.ask("GET", "/v1/deliveries", token=other)).json()["data"][0]["id"]
    changes: list[tuple[str, str, Any]] = [
        ("GET", "/v1/webhooks/{webhook}", None),
        ("PATCH", "/v1/webhooks/{webhook}", {"url": URL}),
        ("DELETE", "/v1/webhooks/{webhook}", None),
        ("POST", "/v1/webhooks/{webhook}/ping", None),
        ("GET", "/v1/webhooks/{webhook}/deliveries", None),
        ("GET", "/v1/webhooks/{webhook}/stats", None),
        ("GET", "/v1/deliveries/{delivery}", None),
        ("POST", "/v1/deliveries/{delivery}/redeliver", None),
        ("GET", "/v1/events/{event}", None),
    ]
    for method, path, document in changes:
        theirs = await api.ask(
            method, path.format(webhook=webhook, delivery=delivery, event=event), document, token=token
        )
        unknown = await api.ask(
            method, path.format(webhook="w0000000", delivery="dlv_0", event="evt_0"), document, token=token
        )
        assert problem(theirs)[:2] == (404, "not-found"), path
        assert theirs.content == unknown.content
        # Whether the connection stays depends on how far the unread body had come.
        told = [{**answer.headers, "date": "", "connection": "", "x-request-id": ""} for answer in (theirs, unknown)]
        assert told[0] == told[1]
    assert (await api.ask("GET", f"/v1/webhooks/{webhook}", token=other)).json()["active"] is True
