"""One guard for registration, ping and delivery; and nothing a receiver or the environment says leads elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.certificates import Authority
from harness.events import session_event
from harness.receiver import answers, response

if TYPE_CHECKING:
    from pathlib import Path

    from harness.starting import Daemons, Receivers

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")

ADDRESSES = (
    *("127.0.0.1", "127.0.0.1.", "2130706433", "2130706433.", "0x7f000001", "0X7F.1", "017700000001", "0177.0.0.1"),
    *("127.1", "127.0.1", "0", "0.0.0.0", "0x0", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]"),
    *("[::FFFF:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "127。0。0。1", "127.0.0\uff0e1"),
    *("169.254.169.254", "0xA9FEA9FE", "2852039166", "[fd00:ec2::254]"),
)
NO_HOSTS = (
    *("①②⑦.0.0.1", "\uff11\uff12\uff17.0.0.1", "[fe80::1%25eth0]", "[fe80::1%eth0]"),
    *("[::1", "::1", "[127.0.0.1]", "user@127.0.0.1", "@127.0.0.1", "example.com@127.0.0.1", "127.0.0.1\\@example.com"),
    *("%31%32%37.0.0.1", "127.0.0.1%00.example", "127.0.0.1\0.example", "127.0.0.1\r\n.example"),
    "example.com\r\nHost: other",
)


async def test_no_spelling_of_a_forbidden_host_can_be_registered(daemons: Daemons) -> None:
    daemon = await daemons.start({"egress": {"allow": []}})
    caller = await daemon.tenant()
    refusals = dict.fromkeys(ADDRESSES, "/problems/blocked-address") | dict.fromkeys(NO_HOSTS, "/problems/invalid")
    for host, problem in refusals.items():
        for url in (f"http://{host}/hook", f"HTTPS://{host}:8080/hook"):
            refused = await caller.request("POST", "/v1/webhooks", {"url": url})
            assert (refused.status_code, refused.json()["type"]) == (422, problem), url
            assert refused.json()["errors"][0]["pointer"] == "/url", url
    assert await caller.ask("GET", "/v1/webhooks") == {"data": [], "next": None}
    for url in ("http://8.8.8.8/hook", "HTTPS://example.com.:8080/hook", "http://[2606:4700:4700::1111]/hook"):
        await caller.register(url)


async def test_nothing_opens_the_daemons_own_addresses_at_registration_change_ping_or_delivery(
    daemons: Daemons, receivers: Receivers
) -> None:
    everything = {"egress": {"allow": ["0.0.0.0/0", "::/0"]}}
    settings = ("bind", "observe_bind", "admin_bind")
    first = await daemons.start({"server": {setting: ["127.0.0.1:0"] for setting in settings}} | everything)
    bound = {setting: first.log.of("daemon.ready")[0][setting] for setting in settings}
    await first.aclose()
    ports = [int(addresses[0].rpartition(":")[2]) for addresses in bound.values()]
    urls = [f"http://{host}:{port}/" for port in ports for host in ("127.0.0.1", "0.0.0.0", "[::ffff:127.0.0.1]")]

    elsewhere = await daemons.start(everything)
    caller, receiver = await elsewhere.tenant(), await receivers.start()
    webhooks = [await caller.register(url) for url in (*urls, receiver.url)]
    await elsewhere.aclose()

    again = await daemons.start({"server": bound} | everything)
    caller = again.caller(caller.client.headers["authorization"].removeprefix("Bearer "))
    details = dict[str, str]()
    for url in urls:
        refused = await caller.request("POST", "/v1/webhooks", {"url": url})
        assert (refused.status_code, refused.json()["type"]) == (422, "/problems/blocked-address"), url
        details[url] = refused.json()["detail"]
        assert "is this daemon itself, which no setting opens" in details[url]
        changed = await caller.request("PATCH", f"/v1/webhooks/{webhooks[-1]['id']}", {"url": url})
        assert (changed.status_code, changed.json()["detail"]) == (422, details[url])
    for webhook in webhooks:
        await caller.ask("POST", f"/v1/webhooks/{webhook['id']}/ping")
    await caller.publish(session_event("s-1"))
    await caller.settled()
    deliveries = [await caller.delivery(delivery["id"]) for delivery in await caller.deliveries()]
    assert len(deliveries) == 2 * len(webhooks)
    for delivery in deliveries:
        blocked = ("blocked_address", details[delivery["url"]]) if delivery["url"] in details else (None, None)
        assert (delivery["error"], delivery["errorDetail"]) == blocked
    assert len(receiver.requests) == 2


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
    daemons: Daemons, receivers: Receivers, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    lure = await receivers.start()
    elsewhere = f'Location: {lure.url}\nAlt-Svc: h2="127.0.0.1:{lure.port}"; ma=86400\nRefresh: 0; url={lure.url}'
    statuses = (200, 201, 300, 301, 302, 303, 305, 307, 308)
    proxies = dict.fromkeys(PROXIES, lure.url) | {"no_proxy": "", "NO_PROXY": ""}
    daemon = await daemons.start(env=proxies | authority.env)
    caller = await daemon.tenant()
    for status in statuses:
        said = response(f"HTTP/1.1 {status} Elsewhere\n{elsewhere}\nContent-Length: 0")
        tls = authority.good() if status == 201 else None
        await caller.register((await receivers.start(answers(said), tls=tls)).url)
    for _ in range(2):
        ended = await caller.finished(await caller.publish(session_event("s-1")))
        assert sorted(each["statusCode"] for each in ended) == sorted(statuses)
        assert {each["statusCode"] for each in ended if each["status"] == "succeeded"} == {200, 201}
    assert lure.connections == 0
