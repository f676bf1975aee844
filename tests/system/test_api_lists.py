"""Lists of events, statistics, links to the next page, and what a request is called."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urljoin

import pytest
from api_house import OPERATOR, House, house, problem, session

from daemon.front_end.routes import ROUTES
from daemon.model import Finished, Outcome
from daemon.persistence import walking
from daemon.persistence.commands import Claim, Progress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
FIELDS = ["id", "event", "created", "idempotencyKey", "deliveries", "traceparent"]


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as running:
        yield running


async def events(api: House, token: str, query: str = "") -> list[str]:
    answer = await api.ask("GET", f"/v1/events?{query}", token=token)
    assert answer.status_code == 200, answer.text
    return [event["id"] for event in answer.json()["data"]]


async def test_events_are_listed_newest_first_and_each_filter_leaves_out_what_it_does_not_name(api: House) -> None:
    token = await api.tenant()
    await api.webhook(token)
    [first] = await api.publish(token, "a")
    keyed = (await api.ask("POST", "/v1/events", session("b", idempotencyKey="k"), token=token)).json()
    [last] = await api.publish(token, "c")
    ids = [last["id"], keyed["id"], first["id"]]
    claimed = (await api.store.progress(Progress(1, [], [], [Claim(1, 2)]))).claimed
    outcomes = Outcome("succeeded", 1, 2, 200), Outcome("failed", 1, 2, None, "dns_failed", "No such host.")
    await api.store.progress(Progress(1, list(map(Finished, claimed, outcomes)), [], []))
    shown = (await api.ask("GET", "/v1/events", token=token)).json()["data"]
    assert [list(event) for event in shown] == [FIELDS] * 3
    assert shown[1] == {
        "id": keyed["id"],
        "event": "onboard.session.completed",
        "created": keyed["created"],
        "idempotencyKey": "k",
        "deliveries": 1,
        "traceparent": None,
    }
    assert await events(api, token) == ids
    assert await events(api, token, "idempotencyKey=k") == [keyed["id"]]
    assert await events(api, token, "idempotencyKey=none") == []
    assert await events(api, token, "type=onboard.session.completed") == ids
    assert await events(api, token, "type=other") == []
    assert await events(api, token, "status=succeeded") == [first["id"]]
    assert await events(api, token, "error=dns_failed") == [keyed["id"]]
    assert await events(api, token, "status=pending&error=dns_failed") == []
    assert await events(api, token, f"since={first['created']}") == ids
    assert await events(api, token, "until=2020-01-01T00:00:00Z") == []
    assert problem(await api.ask("GET", "/v1/events?since=yesterday", token=token)) == (422, "invalid", "since")


async def test_events_are_for_either_permission_and_for_their_own_tenant(api: House) -> None:
    publisher, manager = await api.tenant("acme", "publish_events"), await api.token("acme", "manage_webhooks")
    other = await api.tenant("globex")
    [mine], [theirs] = await api.publish(publisher, "a"), await api.publish(other, "b")
    assert await events(api, publisher) == await events(api, manager) == [mine["id"]]
    assert await events(api, OPERATOR) == [theirs["id"], mine["id"]]
    assert await events(api, OPERATOR, "tenant=globex") == [theirs["id"]]
    assert problem(await api.ask("GET", "/v1/events?idempotencyKey=k"))[:2] == (422, "tenant-required")
    assert problem(await api.ask("GET", "/v1/events?tenant=globex", token=publisher))[:2] == (403, "forbidden")


def next_link(answer: httpx.Response) -> str | None:
    return answer.links.get("next", {}).get("url")


@pytest.mark.parametrize("prefix", ["/v1", "/v1/tenant", "/v1/onboard"])
async def test_the_link_leads_through_the_pages_of_the_very_list(api: House, prefix: str) -> None:
    token = await api.tenant()
    webhook = (await api.webhook(token))["id"]
    await api.publish(token, *(f"s{number}" for number in range(5)))
    seen: list[str] = []
    path: str | None = f"{prefix}/webhooks/{webhook}/deliveries?limit=2&since=2020-01-01T00:00:00%2B02:00"
    while path is not None:
        answer = await api.ask("GET", path, token=token)
        assert answer.status_code == 200, answer.text
        seen += [delivery["id"] for delivery in answer.json()["data"]]
        link = next_link(answer)
        assert (link is None) == (answer.json()["next"] is None)
        path = None if link is None else urljoin(path, link)
    assert len(seen) == len(set(seen)) == 5


async def test_every_list_links_to_its_next_page(api: House) -> None:
    token = await api.tenant("acme")
    await api.tenant("globex")
    await api.token("acme")
    webhooks = [(await api.webhook(token))["id"] for _ in range(2)]
    await api.publish(token, "a", "b")
    for webhook in webhooks:
        recovery = await api.ask("POST", f"/v1/webhooks/{webhook}/recover", {"since": "2020-01-01T00:00:00Z"})
        assert recovery.status_code == 202, recovery.text
    ids = {"/v1/tenants/{id}/tokens": "acme"}
    for route in ROUTES:
        if "cursor" not in route.query.__struct_fields__:
            continue
        path = route.path.replace("{id}", ids.get(route.path, webhooks[0]))
        query = "?limit=1&tenant=acme" if "tenant" in route.query.__struct_fields__ else "?limit=1"
        answer = await api.ask("GET", path + query)
        assert next_link(answer) == f"{query}&cursor={answer.json()['next']}", route.path


async def test_a_search_that_has_not_found_anything_yet_can_be_gone_on_with(
    api: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walking, "MOST_ROWS", 3)
    token = await api.tenant()
    await api.webhook(token)
    await api.publish(token, *(f"s{number}" for number in range(5)))
    first = await api.ask("GET", "/v1/deliveries?eventType=none", token=token)
    assert first.json()["data"] == []
    assert first.json()["next"]
    second = await api.ask("GET", f"/v1/deliveries{next_link(first)}", token=token)
    assert second.json() == {"data": [], "next": None}


async def test_statistics_say_how_a_webhook_has_fared(api: House) -> None:
    token, other = await api.tenant("acme"), await api.tenant("globex")
    webhook = (await api.webhook(token))["id"]
    await api.publish(token, "a", "b", "c")
    claimed = (await api.store.progress(Progress(1, [], [], [Claim(1, 2)]))).claimed
    outcomes = Outcome("succeeded", 100, 140, 200), Outcome("failed", 1000, 1002, None, "dns_failed", "No such host.")
    await api.store.progress(Progress(1, list(map(Finished, claimed, outcomes)), [], []))
    shown = (await api.ask("GET", f"/v1/webhooks/{webhook}/stats?window=1h", token=token)).json()
    since, until = shown.pop("since"), shown.pop("until")
    assert since < until
    assert shown == {
        "webhook": webhook,
        "window": "1h",
        "complete": True,
        "outcomes": {"failed": 1, "pending": 1, "succeeded": 1},
        "errors": {"dns_failed": 1},
        "successRatio": 0.5,
        "duration": {"p50": 2, "p95": 40, "p99": 40},
        "failingSince": "1970-01-01T00:00:01.002Z",
        "consecutiveFailures": 1,
    }
    assert (await api.ask("GET", f"/v1/webhooks/{webhook}/stats", token=token)).json()["window"] == "24h"
    assert (await api.ask("GET", f"/v1/onboard/webhooks/{webhook}/stats?window=9999d", token=token)).status_code == 200
    assert (await api.ask("GET", f"/v1/webhooks/{webhook}/stats", token=other)).status_code == 404
    for window in ("", "1", "h", "0h", "-1h", "1.5h", "10000d", "1w", "1h%0A", "\u0661h"):
        answer = await api.ask("GET", f"/v1/webhooks/{webhook}/stats?window={window}", token=token)
        assert problem(answer) == (422, "invalid", "window"), window


async def test_every_answer_says_what_its_request_is_called(api: House) -> None:
    token = await api.tenant()
    for path, status in (("/v1/webhooks", 200), ("/v1/webhooks/none", 404), ("/none", 404), ("/v1/events?x=1", 422)):
        answer = await api.ask("GET", path, token=token, headers={"X-Request-Id": "mine-1"}, content=b"")
        assert (answer.status_code, answer.headers["x-request-id"]) == (status, "mine-1")
    unauthorized = await api.ask("GET", "/v1/webhooks", token=None)
    assert unauthorized.status_code == 401
    assert unauthorized.headers["x-request-id"].startswith("req_")
    refused = await api.ask("GET", "/healthz", headers={"X-Request-Id": 'a"b'}, content=b"")
    assert refused.headers["x-request-id"].startswith("req_")
    below = await api.ask("GET", "/healthz", headers={"Host": "/"}, content=b"")
    assert below.status_code == 400
    assert below.headers["x-request-id"].startswith("req_")


async def test_an_event_keeps_the_trace_it_was_published_in(api: House) -> None:
    token = await api.tenant()
    batch = b'{"events":[{"event":"onboard.session.completed","session":{"id":"1","status":"Complete"}}]}'
    kinds = {"content-type": "application/json"}
    for header, kept in ((TRACEPARENT, TRACEPARENT), ("nonsense", None)):
        headers = {**kinds, "traceparent": header}
        answer = await api.ask("POST", "/v1/events", token=token, content=batch, headers=headers)
        assert answer.status_code == 202, answer.text
        [event] = answer.json()["data"]
        assert (await api.ask("GET", f"/v1/events/{event['id']}", token=token)).json()["traceparent"] == kept
