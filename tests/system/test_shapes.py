"""The shapes that the original service fixed (CONTRACT §1, §2), as a bare socket and a bare client see them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from harness.events import EVENT_TYPE, SAMPLE, session_event
from standardwebhooks import Webhook as StandardWebhook
from standardwebhooks import WebhookVerificationError

from daemon import __version__

if TYPE_CHECKING:
    from harness.starting import Daemons, Receivers

SAMPLE_BODY = (
    b'{"Event":"onboard.session.completed","Timestamp":"2025-10-21T11:00:00Z",'
    b'"Session":{"Id":"12345678-89ab-cdef-0123-456789abcdef","Status":"Complete",'
    b'"Progress":{"Identity":{"Completed":true,"Confirmed":true,"CompletedAt":"2025-10-21T10:55:00Z"},'
    b'"Ais":{"Completed":false,"Confirmed":null,"CompletedAt":null}},'
    b'"Created":"2025-10-21T10:30:00Z","Updated":"2025-10-21T10:59:00Z"}}'
)
HEADER_NAMES = [
    "accept-encoding",
    "content-length",
    "content-type",
    "host",
    "user-agent",
    "webhook-id",
    "webhook-signature",
    "webhook-timestamp",
]
PREFIXES = ["/v1/webhooks", "/v1/tenant/webhooks", "/v1/onboard/webhooks"]


async def test_the_sample_session_arrives_byte_for_byte(daemons: Daemons, receivers: Receivers) -> None:
    daemon = await daemons.start()
    receiver = await receivers.start()
    acme = await daemon.tenant()
    webhook = await acme.register(receiver.url + "?source=onboard")
    (event,) = await acme.publish(SAMPLE)
    (received,) = await receiver.arrived()

    assert received.line == "POST /hook?source=onboard HTTP/1.1"
    assert received.body == SAMPLE_BODY
    assert sorted(name.lower() for name, _ in received.headers) == HEADER_NAMES
    assert received.header("host") == f"127.0.0.1:{receiver.port}"
    assert received.header("content-type") == "application/json"
    assert received.header("content-length") == str(len(SAMPLE_BODY))
    assert received.header("accept-encoding") == "identity"
    assert received.header("user-agent") == f"Tenant-Webhooks/{__version__}"
    assert received.header("webhook-id") == event["id"]
    assert abs(int(received.header("webhook-timestamp")) - time.time()) < 10

    oracle = StandardWebhook(webhook["secret"])
    assert oracle.verify(received.body, dict(received.headers)) == json.loads(SAMPLE_BODY)
    with pytest.raises(WebhookVerificationError):
        oracle.verify(received.body.replace(b"Complete", b"Declined", 1), dict(received.headers))


async def test_what_was_left_out_arrives_as_null_and_not_completed(daemons: Daemons, receivers: Receivers) -> None:
    daemon = await daemons.start()
    receiver = await receivers.start()
    acme = await daemon.tenant()
    await acme.register(receiver.url)
    await acme.publish({**session_event("s-1"), "timestamp": "2025-10-21T13:00:00.25+02:00"})
    (received,) = await receiver.arrived()
    nothing = b'{"Completed":false,"Confirmed":null,"CompletedAt":null}'
    assert received.body == (
        b'{"Event":"onboard.session.completed","Timestamp":"2025-10-21T11:00:00.250Z",'
        b'"Session":{"Id":"s-1","Status":"Complete","Progress":{"Identity":' + nothing + b',"Ais":' + nothing + b"},"
        b'"Created":null,"Updated":null}}'
    )


async def test_a_redelivery_has_the_same_id_and_body_and_a_valid_signature(
    daemons: Daemons, receivers: Receivers
) -> None:
    daemon = await daemons.start()
    receiver = await receivers.start()
    acme = await daemon.tenant()
    webhook = await acme.register(receiver.url)
    (first,) = await acme.finished(await acme.publish(SAMPLE))
    again = await acme.ask("POST", f"/v1/deliveries/{first['id']}/redeliver")
    assert again["redeliveryOf"] == first["id"]
    original, repeated = await receiver.arrived(2)
    assert repeated.body == original.body
    assert repeated.header("webhook-id") == original.header("webhook-id") == first["event"]
    StandardWebhook(webhook["secret"]).verify(repeated.body, dict(repeated.headers))


async def test_a_ping_travels_the_same_way(daemons: Daemons, receivers: Receivers) -> None:
    daemon = await daemons.start()
    receiver = await receivers.start()
    acme = await daemon.tenant()
    webhook = await acme.register(receiver.url, name="Prod")
    ping = await acme.ask("POST", f"/v1/webhooks/{webhook['id']}/ping")
    (received,) = await receiver.arrived()
    body = json.loads(received.body)
    assert body == {
        "Event": "webhook.ping",
        "Timestamp": body["Timestamp"],
        "Webhook": {"Id": webhook["id"], "Name": "Prod"},
    }
    assert list(body) == ["Event", "Timestamp", "Webhook"]
    assert received.header("webhook-id") == ping["event"]
    StandardWebhook(webhook["secret"]).verify(received.body, dict(received.headers))
    await acme.settled()
    after = await acme.ask("GET", f"/v1/webhooks/{webhook['id']}")
    assert (after["lastDelivered"], after["deliveryAttempts"], after["lastDelivery"]) == (None, 0, None)


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_a_webhook_has_the_documents_shape_under_every_prefix(daemons: Daemons, prefix: str) -> None:
    daemon = await daemons.start()
    acme = await daemon.tenant()
    url = "https://yourapp.com/webhooks/trustist"
    created = await acme.request("POST", prefix, {"url": url, "name": "Production Tenant Webhook"})
    assert created.status_code == 201
    body = created.json()
    shape = [
        ("id", body["id"]),
        ("url", url),
        ("name", "Production Tenant Webhook"),
        ("events", [EVENT_TYPE]),
        ("active", True),
        ("created", body["created"]),
        ("updated", body["created"]),
        ("lastDelivered", None),
        ("deliveryAttempts", 0),
        ("lastDelivery", None),
    ]
    settings = [("headers", {}), ("timeout", None), ("maxConcurrent", None)]  # ours, after what the document has
    assert list(body.items()) == [*shape, *settings, ("secret", body["secret"])]
    assert body["id"].startswith("w")
    assert body["id"].isalnum()
    assert len(body["created"]) == len("2025-10-21T10:00:00Z")
    assert created.headers["location"] == f"/v1/webhooks/{body['id']}", "identical, whichever the prefix"

    path = f"{prefix}/{body['id']}"
    read = await acme.request("GET", path)
    assert list(read.json().items()) == [*shape, *settings]
    listed = await acme.request("GET", prefix)
    assert listed.json() == {"data": [read.json()], "next": None}
    edited = await acme.request("PATCH", path, {**read.json(), "name": None})
    assert edited.json() == {**read.json(), "name": None, "updated": edited.json()["updated"]}
    assert (await acme.request("DELETE", path)).status_code == 204
    assert (await acme.request("GET", prefix, active="false")).json()["data"][0]["id"] == body["id"]


async def test_a_webhook_tells_how_its_deliveries_went(daemons: Daemons, receivers: Receivers) -> None:
    daemon = await daemons.start({"delivery": {"connect_timeout": 1}})
    receiver = await receivers.start()
    acme = await daemon.tenant()
    webhook = await acme.register(receiver.url)
    (first,) = await acme.finished(await acme.publish(session_event("s-1")))
    await acme.ask("PATCH", f"/v1/webhooks/{webhook['id']}", {"url": receiver.url.replace("http:", "https:")})
    (second,) = await acme.finished(await acme.publish(session_event("s-2")))
    told = await acme.ask("GET", f"/v1/webhooks/{webhook['id']}")
    assert told["deliveryAttempts"] == 1
    assert told["lastDelivered"][:19] == first["finished"][:19]
    assert told["lastDelivery"] == {
        "id": second["id"],
        "status": "failed",
        "statusCode": None,
        "error": "tls_failed",
        "at": f"{second['finished'][:19]}Z",
    }
