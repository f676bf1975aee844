"""One guard for registration, ping and delivery; and nothing a receiver or the environment says leads elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.events import session_event
from harness.receiver import answers, response

if TYPE_CHECKING:
    from harness.starting import Daemons, Receivers

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")

SPELLINGS = (
    *("127.0.0.1", "127.0.0.1.", "2130706433", "2130706433.", "0x7f000001", "0X7F.1", "017700000001", "0177.0.0.1"),
    *(
        "127.1",
        "127.0.1",
        "0",
        "0.0.0.0",
        "0x0",
        "127。0。0。1",
        "127.0.0\uff0e1",
        "①②⑦.0.0.1",
        "\uff11\uff12\uff17.0.0.1",
    ),
    *(
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::FFFF:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
    ),
    *(
        "[2002:7f00:1::]",
        "[fe80::1%25eth0]",
        "[fe80::1%eth0]",
        "[::1",
        "::1",
        "[127.0.0.1]",
        "user@127.0.0.1",
        "@127.0.0.1",
    ),
    *(
        "example.com@127.0.0.1",
        "127.0.0.1\\@example.com",
        "%31%32%37.0.0.1",
        "127.0.0.1%00.example",
        "127.0.0.1\0.example",
    ),
    *(
        "127.0.0.1\r\n.example",
        "example.com\r\nHost: other",
        "169.254.169.254",
        "0xA9FEA9FE",
        "2852039166",
        "[fd00:ec2::254]",
    ),
)


async def test_no_spelling_of_a_forbidden_host_can_be_registered(daemons: Daemons) -> None:
    daemon = await daemons.start({"egress": {"allow": []}})
    caller = await daemon.tenant()
    for host in SPELLINGS:
        for url in (f"http://{host}/hook", f"HTTPS://{host}:8080/hook"):
            refused = await caller.request("POST", "/v1/webhooks", {"url": url})
            assert refused.status_code == 422, url
            assert refused.json()["type"] in ("/problems/blocked-address", "/problems/invalid"), url
            assert refused.json()["errors"][0]["pointer"] == "/url", url
    assert await caller.ask("GET", "/v1/webhooks") == {"data": [], "next": None}


async def test_registration_ping_and_delivery_refuse_an_address_in_the_same_words(
    daemons: Daemons, receivers: Receivers
) -> None:
    open_to_all = await daemons.start()
    caller, receiver = await open_to_all.tenant(), await receivers.start()
    url = receiver.url.replace("127.0.0.1", "0x7f.1")
    webhook = await caller.register(url)
    await open_to_all.aclose()

    closed = await daemons.start({"egress": {"allow": []}})
    caller = closed.caller(caller.client.headers["authorization"].removeprefix("Bearer "))
    refused = await caller.request("POST", "/v1/webhooks", {"url": url})
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/blocked-address")
    detail = refused.json()["detail"]
    assert "127.0.0.1 is not a public address (loopback)" in detail
    assert "egress.allow" in detail
    assert "egress.tenants.acme.allow" in detail
    changed = await caller.request("PATCH", f"/v1/webhooks/{webhook['id']}", {"url": url})
    assert changed.json()["detail"] == detail

    pinged = await caller.ask("POST", f"/v1/webhooks/{webhook['id']}/ping")
    await caller.publish(session_event("s-1"))
    await caller.settled()
    deliveries = [await caller.delivery(delivery["id"]) for delivery in await caller.deliveries()]
    assert pinged["id"] in {delivery["id"] for delivery in deliveries}
    assert [(each["error"], each["errorDetail"]) for each in deliveries] == [("blocked_address", detail)] * 2
    assert receiver.connections == 0


async def test_neither_redirects_nor_proxies_nor_alternatives_lead_anywhere(
    daemons: Daemons, receivers: Receivers
) -> None:
    lure = await receivers.start()
    elsewhere = f'Location: {lure.url}\nAlt-Svc: h2="127.0.0.1:{lure.port}"; ma=86400\nRefresh: 0; url={lure.url}'
    statuses = (200, 201, 300, 301, 302, 303, 305, 307, 308)
    daemon = await daemons.start(env=dict.fromkeys(PROXIES, lure.url) | {"no_proxy": "", "NO_PROXY": ""})
    caller = await daemon.tenant()
    for status in statuses:
        said = response(f"HTTP/1.1 {status} Elsewhere\n{elsewhere}\nContent-Length: 0")
        await caller.register((await receivers.start(answers(said))).url)
    for _ in range(2):
        ended = await caller.finished(await caller.publish(session_event("s-1")))
        assert sorted(each["statusCode"] for each in ended) == sorted(statuses)
        assert {each["statusCode"] for each in ended if each["status"] == "succeeded"} == {200, 201}
    assert lure.connections == 0
