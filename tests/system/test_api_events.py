"""CONTRACT §5: publishing, all or nothing, once per key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from api_house import OPERATOR, House, house, problem, session

from daemon.settings import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

KEY = "Idempotency-Key"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path, limits=Limits(deliveries_per_request=4, waiting_per_tenant=6)) as running:
        yield running


async def count(api: House, token: str) -> int:
    return len((await api.ask("GET", "/v1/deliveries", token=token)).json()["data"])


async def test_the_answer_says_what_was_stored(api: House) -> None:
    token = await api.tenant()
    await api.webhook(token)
    await api.webhook(token)
    answer = await api.ask("POST", "/v1/events", session(), token=token)
    assert answer.status_code == 202
    accepted = answer.json()
    assert list(accepted) == ["id", "event", "created", "deliveries", "duplicate"]
    assert accepted["id"].startswith("evt_")
    assert (accepted["event"], accepted["deliveries"], accepted["duplicate"]) == ("onboard.session.completed", 2, False)
    assert len(accepted["created"]) == len("2025-10-21T11:00:00.000Z")
    shown = (await api.ask("GET", f"/v1/events/{accepted['id']}", token=token)).json()
    assert list(shown) == ["id", "event", "created", "idempotencyKey", "payload", "deliveries", "traceparent"]
    assert {delivery["status"] for delivery in shown["deliveries"]} == {"pending"}
    assert "responseBody" not in shown["deliveries"][0]


async def test_the_payload_is_shown_exactly_as_receivers_get_it(api: House) -> None:
    token = await api.tenant()
    document = session("a/b", timestamp="2025-10-21T13:00:00.5+02:00")
    accepted = (await api.ask("POST", "/v1/events", document, token=token)).json()
    shown = (await api.ask("GET", f"/v1/events/{accepted['id']}", token=token)).text
    step = '{"Completed":false,"Confirmed":null,"CompletedAt":null}'
    assert (
        '"payload":{"Event":"onboard.session.completed","Timestamp":"2025-10-21T11:00:00.500Z","Session":{"Id":"a/b",'
        f'"Status":"Complete","Progress":{{"Identity":{step},"Ais":{step}}},"Created":null,"Updated":null}}}}'
    ) in shown


async def test_a_batch_is_answered_in_order(api: House) -> None:
    token = await api.tenant()
    names = ["c", "a", "b"]
    published = await api.publish(token, *names)
    shown = [(await api.ask("GET", f"/v1/events/{event['id']}", token=token)).json() for event in published]
    assert [event["payload"]["Session"]["Id"] for event in shown] == names


async def test_the_same_key_again_answers_the_first_result_and_stores_nothing(api: House) -> None:
    token = await api.tenant()
    await api.webhook(token)
    first = (await api.ask("POST", "/v1/events", session(idempotencyKey="k1"), token=token)).json()
    again = await api.ask("POST", "/v1/events", session(), token=token, headers={KEY: "k1"})
    assert again.status_code == 202
    assert again.json() == {**first, "duplicate": True}
    both = await api.ask("POST", "/v1/events", session(idempotencyKey="k1"), token=token, headers={KEY: "k1"})
    assert both.json()["duplicate"] is True
    spaced = b'{ "session": {"status":"Complete", "id":"s1"}, "event" : "onboard.session.completed"}'
    assert (await api.ask("POST", "/v1/events", token=token, content=spaced, headers={KEY: "k1"})).json()["duplicate"]
    assert await count(api, token) == 1


async def test_the_same_key_with_other_content_is_a_conflict(api: House) -> None:
    token = await api.tenant()
    await api.ask("POST", "/v1/events", session("a"), token=token, headers={KEY: "k1"})
    other = await api.ask("POST", "/v1/events", session("b"), token=token, headers={KEY: "k1"})
    assert problem(other)[:2] == (409, "idempotency-conflict")
    # Content is what was published: a default that is spelled out is other content.
    filled = session("a")
    filled["session"]["progress"] = {"identity": {"completed": False}}
    assert problem(await api.ask("POST", "/v1/events", filled, token=token, headers={KEY: "k1"}))[0] == 409
    batch = {"events": [session("x"), session("y", idempotencyKey="k1")]}
    answer = await api.ask("POST", "/v1/events", batch, token=token)
    assert problem(answer)[:2] == (409, "idempotency-conflict")
    assert problem(answer)[2] in ("/events/1", "/events/1/idempotencyKey")


async def test_keys_are_each_tenants_own(api: House) -> None:
    token, other = await api.tenant("acme"), await api.tenant("globex")
    await api.ask("POST", "/v1/events", session("a"), token=token, headers={KEY: "k1"})
    assert (await api.ask("POST", "/v1/events", session("b"), token=other, headers={KEY: "k1"})).json()[
        "duplicate"
    ] is False


async def test_twice_in_one_batch_the_later_is_the_duplicate(api: House) -> None:
    token = await api.tenant()
    await api.webhook(token)
    batch = {"events": [session("a", idempotencyKey="k"), session("b"), session("a", idempotencyKey="k")]}
    first, second, third = (await api.ask("POST", "/v1/events", batch, token=token)).json()["data"]
    assert third == {**first, "duplicate": True}
    assert second["id"] != first["id"]
    assert await count(api, token) == 2


async def test_header_and_field_must_agree_and_a_batch_takes_no_header(api: House) -> None:
    token = await api.tenant()
    for document, key, pointer in (
        (session(idempotencyKey="k1"), "k2", "/idempotencyKey"),
        (session(), "with space", "/idempotencyKey"),
        (session(), "k" * 256, "/idempotencyKey"),
        ({"events": [session()]}, "k1", "/events"),
    ):
        answer = await api.ask("POST", "/v1/events", document, token=token, headers={KEY: key})
        assert problem(answer) == (422, "invalid", pointer)


async def test_fan_out_over_the_limit_says_how_many_would_fit(api: House) -> None:
    token = await api.tenant()
    await api.webhook(token)
    await api.webhook(token)
    answer = await api.ask("POST", "/v1/events", {"events": [session()] * 3}, token=token)
    assert problem(answer)[:2] == (422, "fan-out-too-large")
    assert "2" in answer.json()["detail"]
    assert await count(api, token) == 0


async def test_a_full_backlog_is_told_when_to_come_again(api: House) -> None:
    token = await api.tenant()
    await api.webhook(token)
    await api.publish(token, "a", "b", "c")
    await api.publish(token, "d", "e", "f")
    answer = await api.ask("POST", "/v1/events", session(), token=token)
    assert problem(answer)[:2] == (503, "backlog-full")
    assert int(answer.headers["retry-after"]) > 0
    assert await count(api, token) == 6


async def test_an_operator_says_whose_an_event_is(api: House) -> None:
    await api.tenant("acme")
    await api.tenant("globex")
    answer = await api.ask("POST", "/v1/events", {"events": [session(tenant="acme"), session(tenant="globex")]})
    assert [event["duplicate"] for event in answer.json()["data"]] == [False, False]
    assert (await api.ask("POST", "/v1/events?tenant=acme", session())).status_code == 202
    batch = {"events": [session(tenant="acme"), session()]}
    assert problem(await api.ask("POST", "/v1/events", batch)) == (422, "tenant-required", "/events/1/tenant")
    batch["events"][1]["tenant"] = "nobody"
    assert problem(await api.ask("POST", "/v1/events", batch)) == (422, "invalid", "/events/1/tenant")
    assert problem(await api.ask("POST", "/v1/events?tenant=nobody", session()))[:2] == (404, "not-found")


async def test_a_tenant_publishes_for_itself_only(api: House) -> None:
    token, other = await api.tenant("acme"), await api.tenant("globex")
    await api.webhook(other)
    assert (await api.ask("POST", "/v1/events", session(tenant="acme"), token=token)).status_code == 202
    for name in ("globex", "nobody", ""):
        batch = {"events": [session(), session(tenant=name)]}
        answer = await api.ask("POST", "/v1/events", batch, token=token)
        assert problem(answer) == (403, "forbidden", "/events/1/tenant")
        assert problem(await api.ask("POST", f"/v1/events?tenant={name}", session(), token=token))[0] == 403
    assert await count(api, other) == 0


async def test_an_inactive_tenant_takes_no_events_from_anybody(api: House) -> None:
    token = await api.tenant()
    await api.ask("PATCH", "/v1/tenants/acme", {"active": False})
    assert problem(await api.ask("POST", "/v1/events", session(), token=token))[:2] == (403, "forbidden")
    answer = await api.ask("POST", "/v1/events", session(tenant="acme"), token=OPERATOR)
    assert problem(answer)[:2] == (409, "tenant-inactive")


async def test_either_permission_may_look_at_an_event(api: House) -> None:
    await api.tenant()
    publisher = await api.token("acme", "publish_events")
    manager = await api.token("acme", "manage_webhooks")
    [event] = await api.publish(publisher, "a")
    for token in (publisher, manager, OPERATOR):
        assert (await api.ask("GET", f"/v1/events/{event['id']}", token=token)).status_code == 200


async def test_two_idempotency_keys_in_one_request_are_refused(api: House) -> None:
    headers = [("authorization", f"Bearer {await api.tenant()}"), (KEY, "one"), (KEY, "two")]
    answer = await api.client.post(f"http://{api.addresses['main']}/v1/events", json=session(), headers=headers)
    assert problem(answer) == (422, "invalid", "/idempotencyKey")
