"""CONTRACT §2: webhooks as integrators have known them, byte for byte."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

import pytest
from api_house import OPERATOR, URL, House, house, problem, session

from daemon.settings import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

NAME = "onboard.session.completed"
PREFIXES = ("/v1/webhooks", "/v1/tenant/webhooks", "/v1/onboard/webhooks")


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path, limits=Limits(webhooks_per_tenant=3)) as running:
        yield running


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_the_answer_to_a_registration_is_that_of_the_contract(api: House, prefix: str) -> None:
    token = await api.tenant()
    document = {"url": "https://yourapp.com/webhooks/trustist", "name": "Production Tenant Webhook", "events": [NAME]}
    answer = await api.ask("POST", prefix, document, token=token, headers={"host": "evil.example"})
    assert answer.status_code == 201
    shape = re.compile(
        r'\{"id":"(w[0-9A-Za-z]{7})","url":"https://yourapp\.com/webhooks/trustist","name":"Production Tenant Webhook",'
        r'"events":\["onboard\.session\.completed"\],"active":true,"created":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)",'
        r'"updated":"\2","lastDelivered":null,"deliveryAttempts":0,"lastDelivery":null,'
        r'"headers":\{\},"timeout":null,"maxConcurrent":null,"secret":"whsec_([A-Za-z0-9+/=]+)"\}'
    )
    match = shape.fullmatch(answer.text)
    assert match, answer.text
    assert len(base64.b64decode(match[3], validate=True)) == 32
    assert answer.headers["location"] == f"/v1/webhooks/{match[1]}"
    shown = await api.ask("GET", f"{prefix}/{match[1]}", token=token)
    assert shown.text == answer.text.partition(',"secret"')[0] + "}"


async def test_every_prefix_answers_identically(api: House) -> None:
    token = await api.tenant()
    webhook = (await api.webhook(token))["id"]
    await api.publish(token, "a")
    for rest in ("", "?active=true", f"/{webhook}", f"/{webhook}/deliveries", "/w0000000", "?nonsense=1"):
        answers = [await api.ask("GET", prefix + rest, token=token) for prefix in PREFIXES]
        assert len({(answer.status_code, answer.content) for answer in answers}) == 1, rest


async def test_what_is_left_out_and_what_is_null_get_the_defaults(api: House) -> None:
    token = await api.tenant()
    for nulls in ({}, {"name": None, "events": None, "active": None}):
        made = await api.webhook(token, **nulls)
        assert (made["name"], made["events"], made["active"]) == (None, [NAME], True)
    assert (await api.webhook(token, events=[NAME, NAME]))["events"] == [NAME]


async def test_what_get_shows_may_be_edited_and_sent_back(api: House) -> None:
    token = await api.tenant()
    made = await api.webhook(token, name="before")
    copy = await api.webhook(token, **{**made, "id": 7, "deliveryAttempts": "many"})
    assert copy["id"] != made["id"]
    assert copy["secret"] == made["secret"], "it is then a secret that was brought along"
    path = f"/v1/webhooks/{made['id']}"
    answer = await api.ask("PATCH", path, {**made, "secret": "another", "name": "after"}, token=token)
    assert answer.status_code == 200
    secret = made.pop("secret")
    assert (await api.ask("GET", f"{path}/secret", token=token)).json()["secret"] == secret, "PATCH ignores it"
    assert {**answer.json(), "updated": made["updated"]} == {**made, "name": "after"}


async def test_a_change_touches_what_it_names(api: House) -> None:
    token = await api.tenant()
    made = await api.webhook(token, name="n")
    path = f"/v1/webhooks/{made['id']}"

    async def changed(**fields: object) -> dict[str, object]:
        answer = await api.ask("PATCH", path, fields, token=token)
        assert answer.status_code == 200
        assert answer.json() == (await api.ask("GET", path, token=token)).json()
        return answer.json()

    assert (await changed())["name"] == "n"
    nothing = await changed(url=None, events=None, active=None)
    assert (nothing["url"], nothing["events"], nothing["active"]) == (URL, [NAME], True)
    assert (await changed(name=None))["name"] is None
    assert (await changed(url="http://example.org:8080/x?y=z"))["url"] == "http://example.org:8080/x?y=z"
    assert (await changed(active=False))["active"] is False
    assert (await changed(active=True))["active"] is True


async def test_deleting_is_soft_repeatable_and_can_be_undone(api: House) -> None:
    token = await api.tenant()
    path = f"/v1/webhooks/{(await api.webhook(token))['id']}"
    for _ in range(2):
        answer = await api.ask("DELETE", path, token=token)
        assert (answer.status_code, answer.content) == (204, b"")
        assert "content-length" not in answer.headers
        assert "content-type" not in answer.headers
    assert (await api.ask("GET", path, token=token)).json()["active"] is False
    assert (await api.ask("POST", "/v1/events", session(), token=token)).json()["deliveries"] == 0
    assert problem(await api.ask("POST", f"{path}/ping", token=token))[:2] == (409, "webhook-inactive")
    assert (await api.ask("PATCH", path, {"active": True}, token=token)).json()["active"] is True
    assert (await api.ask("POST", "/v1/events", session(), token=token)).json()["deliveries"] == 1


async def test_the_limit_counts_active_webhooks(api: House) -> None:
    token = await api.tenant()
    made = [await api.webhook(token) for _ in range(3)]
    one_more = await api.ask("POST", "/v1/webhooks", {"url": URL}, token=token)
    assert problem(one_more)[:2] == (409, "limit-reached")
    await api.webhook(token, active=False)
    await api.ask("DELETE", f"/v1/webhooks/{made[0]['id']}", token=token)
    await api.webhook(token)
    revived = await api.ask("PATCH", f"/v1/webhooks/{made[0]['id']}", {"active": True}, token=token)
    assert problem(revived)[:2] == (409, "limit-reached")


async def test_the_list_is_whole_newest_first_and_holds_deleted_ones(api: House) -> None:
    token = await api.tenant()
    made = [(await api.webhook(token, active=False))["id"] for _ in range(60)]
    live = (await api.webhook(token))["id"]
    whole = (await api.ask("GET", "/v1/webhooks", token=token)).json()
    assert [webhook["id"] for webhook in whole["data"]] == [live, *reversed(made)]
    assert whole["next"] is None
    assert "secret" not in whole["data"][0]
    only = (await api.ask("GET", "/v1/webhooks?active=true", token=token)).json()["data"]
    assert [webhook["id"] for webhook in only] == [live]
    page = (await api.ask("GET", "/v1/webhooks?limit=1", token=token)).json()
    rest = (await api.ask("GET", f"/v1/webhooks?active=false&cursor={page['next']}", token=token)).json()
    assert len(page["data"]) == 1
    assert len(rest["data"]) == 60


async def test_an_operator_names_the_tenant_of_a_collection_and_none_for_a_webhook(api: House) -> None:
    token = await api.tenant("acme")
    await api.tenant("globex")
    for method, document in (("GET", None), ("POST", {"url": URL})):
        assert problem(await api.ask(method, "/v1/webhooks", document))[:2] == (422, "tenant-required")
        assert problem(await api.ask(method, "/v1/webhooks?tenant=nobody", document))[:2] == (404, "not-found")
    made = (await api.ask("POST", "/v1/webhooks?tenant=acme", {"url": URL}, token=OPERATOR)).json()
    assert len((await api.ask("GET", "/v1/webhooks?tenant=acme", token=token)).json()["data"]) == 1
    assert (await api.ask("GET", "/v1/webhooks?tenant=globex")).json()["data"] == []
    assert (await api.ask("PATCH", f"/v1/webhooks/{made['id']}", {"name": "x"})).json()["name"] == "x"
    assert problem(await api.ask("GET", "/v1/webhooks?tenant=globex", token=token))[:2] == (403, "forbidden")
    answer = await api.ask("GET", f"/v1/webhooks/{made['id']}?tenant=globex", token=token)
    assert problem(answer) == (422, "invalid", "tenant")


async def test_a_ping_is_a_delivery_of_its_own_to_this_webhook_only(api: House) -> None:
    token = await api.tenant()
    webhook = await api.webhook(token, name="Näme")
    await api.webhook(token)
    answer = await api.ask("POST", f"/v1/webhooks/{webhook['id']}/ping", token=token)
    assert answer.status_code == 202
    delivery = answer.json()
    assert answer.headers["location"] == f"/v1/deliveries/{delivery['id']}"
    assert (delivery["status"], delivery["eventType"], delivery["webhook"]) == (
        "pending",
        "webhook.ping",
        webhook["id"],
    )
    event = (await api.ask("GET", f"/v1/events/{delivery['event']}", token=token)).json()
    assert event["payload"]["Webhook"] == {"Id": webhook["id"], "Name": "Näme"}
    assert list(event["payload"]) == ["Event", "Timestamp", "Webhook"]
    assert [found["id"] for found in event["deliveries"]] == [delivery["id"]]
