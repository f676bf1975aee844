"""Receivers that are broken, slow or out to hurt: one right status and error each, in time, and nobody else waits.

All of them meet one daemon at once, in one run that every test of this file looks at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import trio
from harness import certificates, hostile
from harness.certificates import Authority
from harness.daemon_process import Daemon
from harness.events import session_event
from harness.receiver import OK, Receiver, answers, never_answers, response

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from harness.api import Api
    from harness.receiver import Behaviour

TIMEOUT = 3
CONNECT_TIMEOUT = 1
SETTINGS: dict[str, Any] = {
    "delivery": {"timeout": TIMEOUT, "connect_timeout": CONNECT_TIMEOUT},
    "egress": {"allow": []},
    "egress.tenants.acme": {"allow": ["127.0.0.0/8", "::1/128"]},
    "egress.tenants.bystander": {"allow": ["127.0.0.0/8"]},
}


@dataclass(frozen=True)
class Case:
    """A behaviour, or else the URL of something that cannot be reached; and what must be recorded of it."""

    behaviour: Behaviour | None
    status: str
    status_code: int | None = None
    error: str | None = None
    tls: Callable[[Authority], ssl.SSLContext] | None = None
    url: Callable[[Run], str] | None = None
    tenant: str = "acme"


def ok(behaviour: Behaviour, status_code: int = 200, tls: Callable[[Authority], ssl.SSLContext] | None = None) -> Case:
    return Case(behaviour, "succeeded", status_code, tls=tls)


def refused(status_code: int, headers: str = "") -> Case:
    answer = response(f"HTTP/1.1 {status_code} Because\nContent-Length: 2\n{headers}", b"no")
    return Case(answers(answer), "failed", status_code, "http_status")


def broken(behaviour: Behaviour, error: str, tls: Callable[[Authority], ssl.SSLContext] | None = None) -> Case:
    return Case(behaviour, "failed", error=error, tls=tls)


def unreachable(url: Callable[[Run], str], error: str, tenant: str = "acme") -> Case:
    return Case(None, "failed", error=error, url=url, tenant=tenant)


class Run:
    """What came of the run: the finished delivery of each case, and how the bystander fared meanwhile."""

    def __init__(self) -> None:
        self.deliveries: dict[str, dict[str, Any]] = {}
        self.receivers: dict[str, Receiver] = {}
        self.webhooks: dict[str, dict[str, Any]] = {}
        self.bystander_waits: list[float] = []
        self.flood = hostile.Flood()
        self.deaf_port = 0
        self.own_port = 0


run = Run()

CASES = {
    "200": ok(answers()),
    "204": ok(answers(response("HTTP/1.1 204 No Content")), 204),
    "299": ok(answers(response("HTTP/1.1 299 Fine\nContent-Length: 0")), 299),
    "301": refused(301, "Location: /elsewhere"),
    "301 to nowhere sane": refused(301, "Location: http://[::1"),
    "307": refused(307, "Location: /elsewhere"),
    "404": refused(404),
    "410": refused(410),
    "500": refused(500),
    "closes at once": broken(hostile.closes_at_once, "connection_lost"),
    "reads, then closes": broken(hostile.reads_then_closes, "connection_lost"),
    "reads, then resets": broken(hostile.reads_then_resets, "connection_lost"),
    "closes within the head": broken(hostile.half_a_head, "connection_lost"),
    "never answers": broken(never_answers, "response_timeout"),
    "drips the head": broken(hostile.drips_the_head, "response_timeout"),
    "drips the body": ok(hostile.drips_the_body),
    "closes within the body": ok(hostile.half_a_body),
    "rubbish for chunks": ok(hostile.rubbish_chunks),
    "HTTP/1.0 body until it closes": ok(hostile.body_until_close),
    "100 MiB": ok(run.flood),
    "gzip bomb": ok(hostile.gzip_bomb),
    "1xx first": ok(hostile.interim_first, 201),
    "1xx for ever": broken(hostile.interim_for_ever, "invalid_response"),
    "1xx, then nothing": broken(hostile.interim_then_silence, "response_timeout"),
    "101": broken(hostile.switches_protocols, "invalid_response"),
    "rubbish": broken(hostile.rubbish, "invalid_response"),
    "100 KiB of head": broken(hostile.head_too_large, "invalid_response"),
    "good certificate": ok(answers(), tls=Authority.good),
    "certificate for another name": broken(answers(), "tls_failed", Authority.for_another_name),
    "expired certificate": broken(answers(), "tls_failed", Authority.expired),
    "certificate from nobody known": broken(answers(), "tls_failed", lambda _: certificates.from_nobody_known()),
    "no handshake": Case(hostile.takes_no_handshake, "failed", error="tls_failed", url=lambda _: "https"),
    "handshake without end": Case(hostile.shakes_hands_for_ever, "failed", error="tls_failed", url=lambda _: "https"),
    "session tickets without end": broken(answers(), "invalid_response", Authority.with_tickets_for_ever),
    "plain HTTP on a TLS port": Case(hostile.speaks_plain_http, "failed", error="tls_failed", url=lambda _: "https"),
    "nobody listens": unreachable(lambda _: f"http://127.0.0.1:{hostile.unused_port()}/", "connect_refused"),
    "SYN is not answered": unreachable(lambda run: f"http://127.0.0.1:{run.deaf_port}/", "connect_timeout"),
    "no such name": unreachable(lambda _: "http://nobody.invalid/", "dns_failed"),
    "name of a private address": unreachable(lambda _: "http://localhost/", "blocked_address", tenant="strict"),
    "name of the daemon itself": unreachable(lambda run: f"http://localhost:{run.own_port}/", "blocked_address"),
}


async def put_all_at_once(authority: Authority, folder: Any) -> None:
    """One daemon, one event to every case's webhook, and a bystander that goes on publishing until all have ended."""
    async with trio.open_nursery() as nursery:
        daemon = await Daemon.start(nursery, folder / "webhooks.db", SETTINGS, authority.env)
        run.own_port = daemon.bind[1]
        callers = {name: await daemon.tenant(name) for name in ("acme", "strict", "bystander")}
        for name, case in CASES.items():
            url = await place(nursery, name, case, authority)
            run.webhooks[name] = await callers[case.tenant].register(url, name=name)
        names = {webhook["id"]: name for name, webhook in run.webhooks.items()}
        async with trio.open_nursery() as bystander:
            bystander.start_soon(go_on_publishing, callers["bystander"], await Receiver.start(nursery, answers()))
            for tenant in ("acme", "strict"):
                events = await callers[tenant].publish(session_event("s-1"))
                for delivery in await callers[tenant].finished(events, within=TIMEOUT + 10):
                    run.deliveries[names[delivery["webhook"]]] = await callers[tenant].delivery(delivery["id"])
            bystander.cancel_scope.cancel()
        for name, case in CASES.items():
            run.webhooks[name] = await callers[case.tenant].ask("GET", f"/v1/webhooks/{run.webhooks[name]['id']}")
        await daemon.aclose()
        nursery.cancel_scope.cancel()


async def place(nursery: trio.Nursery, name: str, case: Case, authority: Authority) -> str:
    """Start the case's receiver, if it has one; the URL to register."""
    if case.behaviour is None:
        assert case.url is not None
        return case.url(run)
    receiver = await Receiver.start(nursery, case.behaviour, case.tls and case.tls(authority))
    run.receivers[name] = receiver
    return receiver.url if case.url is None else receiver.url.replace("http:", "https:")


async def go_on_publishing(caller: Api, receiver: Receiver) -> None:
    await caller.register(receiver.url)
    while True:
        before = trio.current_time()
        await caller.publish(session_event("s-1"))
        arrived = await receiver.arrived(len(run.bystander_waits) + 1)
        run.bystander_waits.append(arrived[-1].at - before)


@pytest.fixture(scope="module", autouse=True)
def all_at_once(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("hostile")
    with hostile.port_that_answers_no_syn() as run.deaf_port:
        trio.run(put_all_at_once, Authority(folder), folder)


@pytest.mark.parametrize("name", CASES)
def test_every_receiver_gets_the_one_right_outcome(name: str) -> None:
    case, delivery = CASES[name], run.deliveries[name]
    assert (delivery["status"], delivery["statusCode"], delivery["error"]) == (
        case.status,
        case.status_code,
        case.error,
    ), delivery["errorDetail"]
    if case.status == "failed":
        assert delivery["errorDetail"]


@pytest.mark.parametrize("name", CASES)
def test_no_receiver_holds_an_attempt_beyond_its_deadline(name: str) -> None:
    assert run.deliveries[name]["timings"]["total"] <= (TIMEOUT + 0.5) * 1000


@pytest.mark.parametrize("name", CASES)
def test_only_failures_are_counted(name: str) -> None:
    webhook = run.webhooks[name]
    assert webhook["deliveryAttempts"] == (1 if CASES[name].status == "failed" else 0)
    assert (webhook["lastDelivered"] is None) == (CASES[name].status == "failed")
    assert webhook["lastDelivery"]["error"] == CASES[name].error


@pytest.mark.parametrize("name", ["SYN is not answered", "no handshake", "no such name"])
def test_reaching_a_receiver_has_a_shorter_deadline_of_its_own(name: str) -> None:
    assert run.deliveries[name]["timings"]["total"] <= (CONNECT_TIMEOUT + 0.5) * 1000


def test_every_receiver_was_sent_its_event_at_most_once() -> None:
    assert {
        name: len(receiver.requests) for name, receiver in run.receivers.items() if len(receiver.requests) > 1
    } == {}


def test_others_are_served_meanwhile() -> None:
    assert len(run.bystander_waits) > 10
    assert max(run.bystander_waits) < 1, sorted(run.bystander_waits)[-5:]


def test_a_flood_is_not_read_to_its_end() -> None:
    delivery = run.deliveries["100 MiB"]
    assert run.flood.sent < run.flood.size / 4
    assert (delivery["responseBody"], delivery["responseBodyTruncated"]) == ("x" * 4096, True)


def test_nothing_is_decompressed() -> None:
    assert run.deliveries["gzip bomb"]["responseBody"].startswith("\x1f\ufffd\x08")
    assert run.deliveries["gzip bomb"]["responseHeaders"]["content-encoding"] == "gzip"


def test_what_arrived_of_a_body_is_kept() -> None:
    bodies = {name: run.deliveries[name]["responseBody"] for name in ("200", "404", "closes within the body")}
    assert bodies == {"200": OK[-2:].decode(), "404": "no", "closes within the body": "half"}


def test_a_bad_certificate_is_explained() -> None:
    assert "expired" in run.deliveries["expired certificate"]["errorDetail"]
    for name in ("certificate for another name", "certificate from nobody known"):
        assert "certificate" in run.deliveries[name]["errorDetail"]


def test_a_blocked_name_does_not_tell_what_it_resolved_to() -> None:
    delivery = run.deliveries["name of a private address"]
    assert "localhost" in delivery["errorDetail"]
    assert "127.0.0.1" not in str(delivery)
    assert delivery["remoteAddress"] is None
