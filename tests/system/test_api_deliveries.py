"""CONTRACT §4: lists that stay stable while rows are added, filters, redelivery."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from api_house import OPERATOR, House, Json, house, problem

from daemon.model import Finished, Outcome, Timings
from daemon.persistence.commands import Claim, Progress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from daemon.model import Claimed


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as running:
        yield running


async def pages(api: House, token: str, path: str = "/v1/deliveries?limit=3") -> AsyncIterator[list[Json]]:
    cursor = ""
    while True:
        answer = await api.ask("GET", path + cursor, token=token)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        yield page["data"]
        if page["next"] is None:
            return
        cursor = f"&cursor={page['next']}"


async def claim(api: House, count: int) -> list[Claimed]:
    progressed = await api.store.progress(Progress(1, [], [], [Claim(1, count)]))
    return progressed.claimed


async def finish(api: House, delivery: Claimed, outcome: Outcome) -> None:
    await api.store.progress(Progress(1, [Finished(delivery, outcome)], [], []))


async def test_pages_neither_repeat_nor_lose_a_row_while_others_are_added(api: House) -> None:
    token = await api.tenant()
    await api.webhook(token)
    published = [event["id"] for event in await api.publish(token, *(f"s{number}" for number in range(10)))]
    seen: list[str] = []
    async for page in pages(api, token):
        seen += [delivery["event"] for delivery in page]
        await api.publish(token, "later", "later still")
    assert seen == published[::-1]


async def test_the_default_page_has_fifty(api: House) -> None:
    token = await api.tenant()
    await api.webhook(token)
    await api.publish(token, *(f"s{number}" for number in range(51)))
    page = (await api.ask("GET", "/v1/deliveries", token=token)).json()
    assert len(page["data"]) == 50
    assert page["next"]


async def test_a_list_that_ends_with_its_page_has_no_next(api: House) -> None:
    token = await api.tenant()
    await api.webhook(token)
    await api.publish(token, "a", "b", "c")
    sizes = [len(page) async for page in pages(api, token, "/v1/deliveries?limit=3")]
    assert sizes == [3]


async def test_a_cursor_is_for_its_own_list_and_tenant(api: House) -> None:
    token, other = await api.tenant("acme"), await api.tenant("globex")
    webhook = (await api.webhook(token))["id"]
    second = (await api.webhook(token))["id"]
    await api.publish(token, "a", "b")
    cursor = (await api.ask("GET", "/v1/deliveries?limit=1", token=token)).json()["next"]
    assert (await api.ask("GET", f"/v1/deliveries?cursor={cursor}", token=token)).status_code == 200
    for asking, path in (
        (other, "/v1/deliveries"),
        (OPERATOR, "/v1/deliveries"),
        (OPERATOR, "/v1/tenants"),
        (token, f"/v1/webhooks/{webhook}/deliveries"),
        (token, f"/v1/webhooks/{second}/deliveries"),
        (token, "/v1/webhooks"),
    ):
        assert problem(await api.ask("GET", f"{path}?cursor={cursor}", token=asking)) == (422, "invalid", "cursor"), (
            path
        )
    for tampered in (cursor[:-1], "A" + cursor[1:] if cursor[0] != "A" else "B" + cursor[1:], cursor + "A", "", "1"):
        answer = await api.ask("GET", f"/v1/deliveries?cursor={tampered}", token=token)
        assert problem(answer) == (422, "invalid", "cursor")


async def test_lists_hold_what_the_asker_may_see(api: House) -> None:
    token, other = await api.tenant("acme"), await api.tenant("globex")
    for owner in (token, other):
        await api.webhook(owner)
        await api.publish(owner, "a")
    assert len((await api.ask("GET", "/v1/deliveries", token=token)).json()["data"]) == 1
    assert len((await api.ask("GET", "/v1/deliveries")).json()["data"]) == 2
    assert len((await api.ask("GET", "/v1/deliveries?tenant=globex")).json()["data"]) == 1
    assert problem(await api.ask("GET", "/v1/deliveries?tenant=nobody"))[:2] == (404, "not-found")


async def test_a_finished_delivery_shows_everything_and_a_list_leaves_out_the_answer(api: House) -> None:
    token = await api.tenant()
    webhook = await api.webhook(token)
    await api.publish(token, "a")
    [claimed] = await claim(api, 1)
    outcome = Outcome(
        status="failed",
        started=1761044400000,
        finished=1761044400021,
        status_code=500,
        error="http_status",
        error_detail="The receiver answered 500.",
        timings=Timings(0.3, 1.2, None, 20.1, 21.0),
        remote_address="203.0.113.7:443",
        reused_connection=True,
        response_headers={"content-type": "text/plain"},
        response_body="oops",
    )
    await finish(api, claimed, outcome)
    shown = (await api.ask("GET", f"/v1/deliveries/{claimed.id}", token=token)).json()
    created = shown.pop("created")
    assert len(created) == len("2025-10-21T11:00:00.000Z")
    expected = {
        "id": claimed.id,
        "event": claimed.event,
        "eventType": "onboard.session.completed",
        "webhook": webhook["id"],
        "url": webhook["url"],
        "status": "failed",
        "statusCode": 500,
        "error": "http_status",
        "errorDetail": "The receiver answered 500.",
        "started": "2025-10-21T11:00:00.000Z",
        "finished": "2025-10-21T11:00:00.021Z",
        "timings": {"dns": 0.3, "connect": 1.2, "tls": None, "firstByte": 20.1, "total": 21.0},
        "remoteAddress": "203.0.113.7:443",
        "reusedConnection": True,
        "responseHeaders": {"content-type": "text/plain"},
        "responseBody": "oops",
        "responseBodyTruncated": False,
        "redeliveryOf": None,
    }
    assert shown == expected
    assert list(shown) == list(expected)
    [listed] = (await api.ask("GET", f"/v1/webhooks/{webhook['id']}/deliveries", token=token)).json()["data"]
    assert set(expected) - set(listed) == {"responseHeaders", "responseBody"}
    after = (await api.ask("GET", f"/v1/webhooks/{webhook['id']}", token=token)).json()
    assert after["deliveryAttempts"] == 1
    last = {"id": claimed.id, "status": "failed", "statusCode": 500, "error": "http_status"}
    assert after["lastDelivery"] == {**last, "at": "2025-10-21T11:00:00Z"}
    assert after["updated"] == webhook["updated"]


async def test_each_filter_leaves_out_what_it_does_not_name(api: House) -> None:
    token = await api.tenant()
    await api.webhook(token)
    await api.publish(token, "a", "b", "c")
    first, second = await claim(api, 2)
    await finish(api, first, Outcome("succeeded", 1, 2, 200, response_headers={}, response_body=""))
    await finish(api, second, Outcome("failed", 1, 2, None, "dns_failed", "No such host."))
    everything = (await api.ask("GET", "/v1/deliveries", token=token)).json()["data"]
    newest, oldest = everything[0]["created"], everything[-1]["created"]

    async def found(query: str) -> list[str]:
        answer = await api.ask("GET", f"/v1/deliveries?{query}", token=token)
        return [delivery["id"] for delivery in answer.json()["data"]]

    assert await found("status=succeeded") == [first.id]
    assert await found("error=dns_failed") == [second.id]
    assert await found("status=pending") == [everything[0]["id"]]
    assert await found("eventType=webhook.ping") == []
    assert len(await found("eventType=onboard.session.completed&status=failed&error=dns_failed")) == 1
    assert len(await found(f"since={oldest}")) == 3
    assert oldest not in await found(f"until={oldest}")
    assert await found("until=2020-01-01T00:00:00Z") == []
    assert len(await found(f"since={oldest}&until={newest[:4]}-12-31T23:59:59%2B00:00")) == 3


async def test_redelivery_makes_a_new_delivery_of_the_same_event(api: House) -> None:
    token = await api.tenant()
    webhook = (await api.webhook(token))["id"]
    await api.publish(token, "a")
    pending = (await api.ask("GET", "/v1/deliveries", token=token)).json()["data"][0]["id"]
    again = f"/v1/deliveries/{pending}/redeliver"
    assert problem(await api.ask("POST", again, token=token))[:2] == (409, "not-finished")
    [claimed] = await claim(api, 1)
    assert problem(await api.ask("POST", again, token=token))[:2] == (409, "not-finished")
    await finish(api, claimed, Outcome("interrupted", 1, 2))
    answer = await api.ask("POST", again, token=token)
    assert answer.status_code == 202
    made = answer.json()
    assert answer.headers["location"] == f"/v1/deliveries/{made['id']}"
    assert (made["status"], made["event"], made["redeliveryOf"]) == ("pending", claimed.event, claimed.id)
    await api.ask("DELETE", f"/v1/webhooks/{webhook}", token=token)
    assert problem(await api.ask("POST", again, token=token))[:2] == (409, "webhook-inactive")
    cancelled = (await api.ask("GET", f"/v1/deliveries/{made['id']}", token=token)).json()
    assert cancelled["status"] == "cancelled"


async def test_deliveries_of_a_webhook_are_its_own(api: House) -> None:
    token = await api.tenant()
    first, second = (await api.webhook(token))["id"], (await api.webhook(token))["id"]
    await api.publish(token, "a", "b", "c", "d")
    seen = [
        delivery async for page in pages(api, token, f"/v1/webhooks/{first}/deliveries?limit=3") for delivery in page
    ]
    assert {delivery["webhook"] for delivery in seen} == {first}
    assert len(seen) == 4
    assert second != first
