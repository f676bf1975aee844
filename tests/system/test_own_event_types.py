"""Event types of the configuration, from the publisher's bytes to the receiver's, through the daemon as it is run."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest
from harness.configuration import configuration, toml
from harness.daemon_process import run_command
from hypothesis import Phase, find, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import httpx
    from harness.api import Api
    from harness.configuration import Value
    from harness.daemon_process import Daemon
    from harness.starting import Daemons, Receivers

NAME = "payment.completed"
SECTION = f'events."{NAME}"'
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["id"],
    "properties": {"id": {"type": "string", "maxLength": 8}, "amount": {"type": "number", "maximum": 1000}},
    "examples": [{"id": "pay_42", "amount": 19.99}],
}
ODD = (
    '{"z":1.0,"a" : 1, "id":"é\\u00e9\U0001f4b6\\/", "n":[1e400,-0.0,-0, 123456789012345678901234567890,1E-7,0.10]\n,'
    '"":null,"\u2028":{"\\ud83d\\ude00":true}}'
)


@pytest.fixture
def types(daemons: Daemons) -> dict[str, dict[str, Value]]:
    """Two types: one with a schema, one that takes any object."""
    folder = daemons.database().parent
    folder.mkdir()
    (folder / "payment.json").write_text(json.dumps(SCHEMA))
    return {
        SECTION: {"subject": "Payment", "description": "A payment was booked.", "schema": "payment.json"},
        'events."thing.seen"': {"subject": "Thing"},
    }


async def send(api: Api, body: str | bytes) -> httpx.Response:
    raw = body.encode() if isinstance(body, str) else body
    return await api.client.post("/v1/events", content=raw, headers={"content-type": "application/json"})


async def test_what_is_published_is_delivered_and_signed_byte_for_byte(
    daemons: Daemons, receivers: Receivers, types: dict[str, dict[str, Value]]
) -> None:
    receiver = await receivers.start()
    daemon = await daemons.start(types)
    acme = await daemon.tenant()
    webhook = await acme.register(receiver.url, events=["thing.seen", NAME])
    await acme.register(receiver.url)  # wants sessions alone
    event = f'{{"event":"thing.seen","timestamp":"2025-10-21T11:00:00Z","thing":{ODD}}}'
    assert (await send(acme, event)).json()["deliveries"] == 1
    assert (await send(acme, f'{{"events":[{event}]}}')).json()["data"][0]["deliveries"] == 1
    requests = await receiver.arrived(2)
    expected = f'{{"Event":"thing.seen","Timestamp":"2025-10-21T11:00:00Z","Thing":{ODD}}}'
    for request in requests:
        assert request.body.decode() == expected
        Webhook(webhook["secret"]).verify(request.body, dict(request.headers), json_parse=False)
    published = (await acme.ask("GET", "/v1/deliveries"))["data"][0]
    assert published["eventType"] == "thing.seen"
    shown = await acme.request("GET", f"/v1/events/{published['event']}")
    assert f'"payload":{expected}' in shown.text


JSON = st.recursive(
    st.from_regex(r"\A-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,9})?([eE][+-]?[0-9]{1,3})?\Z")
    | st.text(st.characters(exclude_categories=["Cs"])).map(lambda text: json.dumps(text, ensure_ascii=len(text) % 2)),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda parts: "[" + " ,".join(parts) + "]")
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=9), inner, max_size=3).map(
            lambda members: "{" + ", ".join(f"{json.dumps(name)}:{value}" for name, value in members.items()) + "}"
        )
    ),
    max_leaves=8,
)


def samples(number: int) -> list[str]:
    """So many objects, the same ones for the whole of a test."""
    strategy = st.lists(JSON.map(lambda value: f'{{"x":{value}}}'), min_size=number, max_size=number)
    only_drawn = settings(database=None, phases=[Phase.generate], max_examples=20)
    return find(strategy, lambda drawn: len(set(drawn)) > number // 2, settings=only_drawn)


async def test_any_json_arrives_as_it_was_published(
    daemons: Daemons, receivers: Receivers, types: dict[str, dict[str, Value]]
) -> None:
    receiver = await receivers.start()
    daemon = await daemons.start(types)
    acme = await daemon.tenant()
    await acme.register(receiver.url, events=["thing.seen"])
    subjects = samples(50)
    at = '"timestamp":"2025-10-21T11:00:00Z"'
    batch = ",".join(f'{{"event":"thing.seen",{at},"thing":{subject}}}' for subject in subjects)
    answer = await send(acme, f'{{"events":[{batch}]}}')
    assert answer.status_code == 202, answer.text
    bodies = [request.body.decode() for request in await receiver.arrived(len(subjects))]
    head = '{"Event":"thing.seen","Timestamp":"2025-10-21T11:00:00Z","Thing":'
    assert sorted(bodies) == sorted(f"{head}{subject}}}" for subject in subjects)


async def test_what_does_not_fit_is_refused_whole_with_pointers_into_the_request(
    daemons: Daemons, types: dict[str, dict[str, Value]]
) -> None:
    daemon = await daemons.start(types)
    acme = await daemon.tenant()
    good = {"event": NAME, "payment": {"id": "pay_1"}}
    wrong = [
        good,
        {"event": NAME, "payment": {"amount": "hush-hush"}},
        {"event": NAME},
        {"event": NAME, "payment": [1]},
        {"event": NAME, "payment": {"id": "pay_1"}, "session": {}},
        {"event": "payment.failed", "payment": {}},
        {"event": "webhook.ping", "webhook": {}},
    ]
    answer = await acme.request("POST", "/v1/events", {"events": wrong})
    assert answer.status_code == 422
    told = {error["pointer"]: error["detail"] for error in answer.json()["errors"]}
    there = "onboard.session.completed, payment.completed, thing.seen"
    assert told == {
        "/events/1/payment/id": "is required; add it",
        "/events/1/payment/amount": "must be a number",
        "/events/2/payment": "is required; add it",
        "/events/3/payment": "must be an object",
        "/events/4/session": "is not a field of this object; remove it",
        "/events/5/event": f"is not an event to publish; there is {there}",
        "/events/6/event": f"is not an event to publish; there is {there}",
    }
    alone = await send(acme, '{"event":"payment.completed","payment":{"id":"a","id":"b"}}')
    assert [error["pointer"] for error in alone.json()["errors"]] == ["/payment/id"]
    assert (await acme.ask("GET", "/v1/deliveries"))["data"] == []
    assert "hush-hush" not in daemon.log.tail()


async def test_a_key_used_again_counts_numbers_exactly(daemons: Daemons, types: dict[str, dict[str, Value]]) -> None:
    daemon = await daemons.start(types)
    acme = await daemon.tenant()

    def event(number: str) -> str:
        return f'{{"event":"thing.seen","idempotencyKey":"k","thing":{{"b":{number},"a":1}}}}'

    first = await send(acme, event("9007199254740993"))
    again = await send(acme, '{"thing": {"a":1, "b":9007199254740993}, "idempotencyKey":"k", "event":"thing.seen"}')
    assert again.json() == {**first.json(), "duplicate": True}
    other = await send(acme, event("9007199254740992"))
    assert other.json()["type"] == "/problems/idempotency-conflict"


async def test_hostile_events_do_not_hold_up_others(daemons: Daemons, types: dict[str, dict[str, Value]]) -> None:
    inner = {"a": {"$ref": "#/$defs/n"}}
    schema = {
        "$ref": "#/$defs/n",
        "$defs": {"n": {"anyOf": [{"properties": inner, "required": [f"r{n}"]} for n in (1, 2)]}},
        "properties": {"p": {"pattern": "^(a+)+$"}},
    }
    (daemons.database().parent / "payment.json").write_text(json.dumps(schema))
    daemon = await daemons.start(types)
    acme = await daemon.tenant()
    nested = '{"a":' * 90 + "{}" + "}" * 90
    events = [f'{{"event":"{NAME}","payment":{nested}}}'] * 900
    events += [f'{{"event":"{NAME}","payment":{{"p":"{"a" * 30_000}!"}}}}'] * 60
    answer = await send(acme, f'{{"events":[{",".join(events)}]}}')
    assert len(answer.json()["errors"]) == 20
    blocked = [line for line in daemon.log.of("loop.blocked") if "event_types" in line["stack"]]
    assert not blocked, blocked


async def test_a_type_taken_out_leaves_its_events_and_webhooks_usable(
    daemons: Daemons, receivers: Receivers, types: dict[str, dict[str, Value]]
) -> None:
    receiver = await receivers.start()
    daemon = await daemons.start(types)
    acme = await daemon.tenant()
    webhook = await acme.register(receiver.url, events=[NAME, "thing.seen"])
    [published] = await acme.publish({"event": NAME, "payment": {"id": "pay_1"}})
    [delivery] = await acme.finished([published])
    daemon.terminate()
    assert await daemon.exit_code() == 0
    daemon = await daemons.start()  # without any
    acme = daemon.caller(acme.client.headers["authorization"].removeprefix("Bearer "))
    path = f"/v1/webhooks/{webhook['id']}"
    kept = await acme.ask("GET", path)
    assert kept["events"] == [NAME, "thing.seen"]
    await acme.ask("POST", f"/v1/deliveries/{delivery['id']}/redeliver")
    first, second = await receiver.arrived(2)
    assert first.body == second.body
    assert await acme.ask("PATCH", path, {**kept, "name": "Kept"})
    assert (await acme.ask("PATCH", path, {"events": [NAME]}))["events"] == [NAME]
    refused = await acme.request("PATCH", path, {"events": ["thing.seen"]})  # given up, so it is unknown now
    assert refused.json()["errors"] == [
        {"detail": "is not an event to subscribe to; there is onboard.session.completed", "pointer": "/events/0"}
    ]
    assert (await acme.request("POST", "/v1/webhooks", {"url": receiver.url, "events": [NAME]})).status_code == 422
    assert (await acme.request("POST", "/v1/events", {"event": NAME, "payment": {"id": "x"}})).status_code == 422


async def reload(daemon: Daemon, changes: Mapping[str, Mapping[str, Value]], event: str) -> dict[str, Any]:
    daemon.database.with_suffix(".toml").write_text(toml(configuration(daemon.database, changes)))
    already = len(daemon.log.of(event))
    daemon.process.send_signal(signal.SIGHUP)
    return (await daemon.log.count(event, already + 1, within=10))[-1]


async def test_types_change_without_a_restart_and_a_broken_schema_changes_nothing(
    daemons: Daemons, types: dict[str, dict[str, Value]]
) -> None:
    daemon = await daemons.start()
    acme = await daemon.tenant()
    event = {"event": NAME, "payment": {"id": "pay_1"}}
    assert (await acme.request("POST", "/v1/events", event)).status_code == 422
    said = await reload(daemon, types, "daemon.reloaded")
    assert said["changed"] == ["events.payment.completed", "events.thing.seen"]
    await acme.publish(event)
    schema = daemon.database.parent / "payment.json"
    schema.write_text('{"type": "nothing"}')
    refused = await reload(daemon, types, "daemon.reload_refused")
    assert "payment.json at /type" in refused["problems"][0]
    await acme.publish(event)
    schema.write_text('{"required": ["currency"]}')
    assert (await reload(daemon, types, "daemon.reloaded"))["changed"] == ["events.payment.completed"]
    assert (await acme.request("POST", "/v1/events", event)).json()["errors"][0]["pointer"] == "/payment/currency"


async def test_the_types_are_listed_for_every_token_and_as_what_they_are(
    daemons: Daemons, types: dict[str, dict[str, Value]]
) -> None:
    daemon = await daemons.start(types)
    publisher = daemon.caller(await daemon.operator().create_tenant("acme", "publish_events"))
    listed = await publisher.ask("GET", "/v1/event-types")
    assert listed["next"] is None
    assert [one["name"] for one in listed["data"]] == ["onboard.session.completed", NAME, "thing.seen", "webhook.ping"]
    assert (await publisher.request("GET", "/v1/event-types/nope.nope")).status_code == 404
    assert (await daemon.caller(None).request("GET", "/v1/event-types")).status_code == 401
    one = await publisher.ask("GET", f"/v1/event-types/{NAME}")
    assert (
        one
        == listed["data"][1]
        == {
            "name": NAME,
            "description": "A payment was booked.",
            "subscribable": True,
            "subject": "Payment",
            "field": "payment",
            "schema": SCHEMA,
            "publishedExample": {
                "event": NAME,
                "timestamp": "2025-10-21T11:00:00Z",
                "payment": {"id": "pay_42", "amount": 19.99},
            },
            "deliveredExample": {
                "Event": NAME,
                "Timestamp": "2025-10-21T11:00:00Z",
                "Payment": {"id": "pay_42", "amount": 19.99},
            },
        }
    )
    for listed_one in listed["data"]:
        if listed_one["publishedExample"] is not None:
            await publisher.publish(listed_one["publishedExample"])


async def test_the_command_line_lists_and_shows_types_and_publishes_their_events(
    daemons: Daemons, types: dict[str, dict[str, Value]], tmp_path: Path
) -> None:
    daemon = await daemons.start(types)
    acme = await daemon.tenant()
    token = acme.client.headers["authorization"].removeprefix("Bearer ")
    client = ("--url", daemon.base_url, "--token", token)
    listed = await run_command("event-types", "list", *client)
    assert NAME.encode() in listed.stdout
    shown = await run_command("event-types", "show", NAME, *client)
    assert b'"Payment": {\n    "id": "pay_42",\n    "amount": 19.99\n  }' in shown.stdout
    as_json = await run_command("event-types", "show", NAME, "--json", *client)
    assert json.loads(as_json.stdout)["subject"] == "Payment"
    (tmp_path / "event.json").write_text(f'{{"event":"thing.seen","thing":{ODD}}}')
    published = await run_command("events", "publish", str(tmp_path / "event.json"), "--json", *client)
    event = json.loads(published.stdout)["id"]
    looked_at = await run_command("events", "get", event, *client)
    assert looked_at.returncode == 0, looked_at.stderr
    assert b"123456789012345678901234567890,\n" in looked_at.stdout
    assert b"1e400,\n" in looked_at.stdout


async def test_a_broken_schema_keeps_the_daemon_from_starting_and_check_config_names_it(
    daemons: Daemons, types: dict[str, dict[str, Value]]
) -> None:
    schema = daemons.database().parent / "payment.json"
    schema.write_text('{"properties": {"id": {"pattern": "(?=x)"}}}')
    daemon = await daemons.launch(types)
    assert await daemon.exit_code() == 2
    checked = await run_command("check-config", "--config", str(daemons.database().with_suffix(".toml")))
    assert checked.returncode == 2
    assert f'events."{NAME}".schema: {schema} at /properties/id/pattern'.encode() in checked.stderr
