"""One event can be followed from its publisher's request to its receivers, through every log line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.events import session_event

if TYPE_CHECKING:
    from harness.starting import Daemons, Receivers

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


async def test_a_trace_goes_on_to_the_receiver_with_each_attempt_and_its_state_does_not(
    daemons: Daemons, receivers: Receivers
) -> None:
    daemon = await daemons.start()
    receiver = await receivers.start()
    acme = await daemon.tenant()
    await acme.register(receiver.url)
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=private", "x-request-id": "request-1"}
    acme.client.headers.update(headers)
    published = await acme.publish(session_event("s-1"))
    [delivery] = await acme.finished(published)
    del acme.client.headers["traceparent"]
    again = await acme.ask("POST", f"/v1/deliveries/{delivery['id']}/redeliver")
    without = await acme.publish(session_event("s-2"))
    await acme.finished(without)
    await daemon.log.count("delivery.attempted", 3)
    requests: dict[str, list[str | None]] = {request.header("webhook-id"): [] for request in await receiver.arrived(3)}
    for request in receiver.requests:
        names = [name.lower() for name, _ in request.headers]
        assert "tracestate" not in names
        requests[request.header("webhook-id")].append(request.header("traceparent") if "traceparent" in names else None)
    sent = [f"00-{TRACE}-{id[-16:]}-01" for id in (delivery["id"], again["id"])]
    assert sorted(filter(None, requests[published[0]["id"]])) == sorted(sent)
    assert requests[without[0]["id"]] == [None]
    for id, header in zip((delivery["id"], again["id"]), sent, strict=True):
        assert (await daemon.log.wait("delivery.attempted", delivery=id))["traceparent"] == header
    accepted = await daemon.log.wait("event.accepted", first=published[0]["id"])
    assert (accepted["traceparent"], accepted["request_id"]) == (f"00-{TRACE}-{PARENT}-01", "request-1")
    assert await daemon.log.wait("http.request", request_id="request-1", method="POST", status=202)
    assert "traceparent" not in await daemon.log.wait("event.accepted", first=without[0]["id"])
