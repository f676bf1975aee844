"""Every outcome is visible in the API, in one metric and in one log line, with one code; secrets nowhere (§8.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.events import session_event
from harness.hostile import unused_port
from harness.receiver import answers, response
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from harness.starting import Daemons, Receivers

TIMINGS = ("dns", "connect", "tls", "firstByte", "total")


async def test_each_delivery_is_told_once_by_the_api_the_log_and_the_metrics(
    daemons: Daemons, receivers: Receivers
) -> None:
    daemon = await daemons.start()
    good, bad = await receivers.start(), await receivers.start(answers(response("HTTP/1.1 500 Oh\nContent-Length: 0")))
    acme = await daemon.tenant()
    for url in (good.url, bad.url, f"http://127.0.0.1:{unused_port()}/"):
        await acme.register(url)
    deliveries = await acme.finished(await acme.publish(*[session_event(f"s-{n}") for n in range(5)]))
    lines = await daemon.log.count("delivery.attempted", len(deliveries))

    told = {line["delivery"]: line for line in lines}
    assert len(told) == len(lines) == len(deliveries) == 15
    for delivery in deliveries:
        line = told[delivery["id"]]
        assert line["tenant"] == "acme"
        assert (line["webhook"], line["event_id"]) == (delivery["webhook"], delivery["event"])
        assert (line["status"], line["error"]) == (delivery["status"], delivery["error"])
        assert line["status_code"] == delivery["statusCode"]

    counted: dict[tuple[str, str], float] = {}
    metrics = (await daemon.operator().request("GET", "/metrics")).text
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if sample.name == "tenant_webhooks_deliveries_total" and sample.value:
                counted[sample.labels["outcome"], sample.labels["error"]] = sample.value
    assert sorted(counted.values()) == [5, 5, 5]
    assert {error for _, error in counted} >= {"http_status", "connect_refused"}


async def test_no_secret_payload_or_query_is_ever_logged(daemons: Daemons, receivers: Receivers) -> None:
    daemon = await daemons.start({"logging": {"level": "debug"}})
    receiver = await receivers.start()
    token = await daemon.operator().create_tenant("acme")
    acme = daemon.caller(token)
    webhook = await acme.register(receiver.url + "?key=query-of-the-url")
    await acme.finished(await acme.publish(session_event("payload-of-the-event", key="key-of-the-event")))
    await daemon.caller("tok-that-is-wrong").request("GET", "/v1/webhooks", cursor="query-of-the-request")
    await daemon.log.wait("http.request", status=401)
    daemon.terminate()
    await daemon.exit_code()
    output = daemon.log.tail(10_000)
    assert "delivery.attempted" in output
    for secret in (
        token,
        daemon.operator_token,
        webhook["secret"],
        webhook["secret"].removeprefix("whsec_"),
        "query-of-the-url",
        "query-of-the-request",
        "payload-of-the-event",
        "tok-that-is-wrong",
    ):
        assert secret not in output
