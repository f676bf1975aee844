"""From an offer to a recorded outcome: at once, once, within the bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
import trio
from stand_ins import Stage, running, sent_headers
from standardwebhooks import Webhook as Oracle

from daemon import __version__
from daemon.delivery.signing import format_secret
from daemon.delivery.tenant import IDLE
from daemon.egress.request import message_of
from daemon.egress.url import check_url
from daemon.identifiers import now_ms
from daemon.model import Endpoint, Timings
from daemon.settings import DeliverySettings

if TYPE_CHECKING:
    from trio.testing import MockClock


async def test_an_idle_system_delivers_a_single_event_at_once(autojump_clock: MockClock) -> None:
    async with running() as stage:
        stage.store.add_webhook(1, 1)
        began = trio.current_time()
        stage.publish(1)
        await stage.settled()
        assert stage.network.times == [began]
        assert stage.store.states == {1: "succeeded"}
        assert stage.store.step_times == [began, began + stage.network.pace]


async def test_a_request_has_exactly_the_headers_of_the_contract_and_a_valid_signature(
    autojump_clock: MockClock,
) -> None:
    async with running() as stage:
        stage.store.add_webhook(1, 1, "https://good.example:8443/hook?x=1")
        stage.publish(1)
        await stage.settled()
        (request,) = stage.network.requests
    assert str(request.url) == "https://good.example:8443/hook?x=1"
    message = message_of(request, check_url(str(request.url), require_https=True)).decode()
    head, _, body = message.partition("\r\n\r\n")
    line, *fields = head.split("\r\n")
    assert (line, body) == ("POST /hook?x=1 HTTP/1.1", "{}")
    sent = dict(field.split(": ", 1) for field in fields)
    assert len(sent) == len(fields)
    assert abs(int(sent["webhook-timestamp"]) - now_ms() // 1000) <= 2
    assert Oracle(format_secret(b"k" * 32)).verify(body, sent) == {}
    del sent["webhook-timestamp"], sent["webhook-signature"]
    assert sent == {
        "host": "good.example:8443",
        "content-type": "application/json",
        "content-length": "2",
        "user-agent": f"Tenant-Webhooks/{__version__}",
        "accept-encoding": "identity",
        "webhook-id": "evt_1",
    }


async def test_an_outcome_says_what_the_receiver_answered(autojump_clock: MockClock) -> None:
    def answer(request: httpx.Request, exchange: object) -> httpx.Response:
        exchange.dns, exchange.total, exchange.reused, exchange.truncated = 0.5, 7.0, True, True
        exchange.remote_address = "203.0.113.7:443"
        return httpx.Response(
            503, headers=[(b"X-Why", b"tea"), (b"x-why", b"caf\xc3\xa9"), (b"X-Bad", b"\xff")], content=b"no\xff"
        )

    async with running() as stage:
        stage.network.hosts["odd"] = answer
        stage.store.add_webhook(1, 1, "http://odd.example/")
        before = now_ms()
        stage.publish(1)
        await stage.settled()
        outcome = stage.store.outcomes[1]
    assert (outcome.status, outcome.status_code, outcome.error) == ("failed", 503, "http_status")
    assert outcome.error_detail is not None
    assert "503" in outcome.error_detail
    assert outcome.response_headers == {"x-why": "tea, café", "x-bad": "\ufffd", "content-length": "3"}
    assert outcome.response_body == "no\ufffd"
    assert outcome.response_body_truncated
    assert outcome.timings == Timings(dns=0.5, total=7.0)
    assert (outcome.remote_address, outcome.reused_connection) == ("203.0.113.7:443", True)
    assert before <= outcome.started <= outcome.finished <= now_ms()


@pytest.mark.parametrize(
    ("status", "ends"), [(200, "succeeded"), (204, "succeeded"), (299, "succeeded"), (199, "failed"), (301, "failed")]
)
async def test_success_is_200_to_299_and_nothing_else(autojump_clock: MockClock, status: int, ends: str) -> None:
    async with running() as stage:
        stage.network.hosts["odd"] = lambda *_: httpx.Response(status)
        stage.store.add_webhook(1, 1, "http://odd.example/")
        stage.publish(1)
        await stage.settled()
    assert stage.store.states == {1: ends}
    assert stage.store.outcomes[1].response_body == ""


@pytest.mark.parametrize(
    "url", ["ftp://x.example/", "http://user:pw@x.example/", "http://[::1/", "http:///x", "nonsense"]
)
async def test_a_url_that_is_no_longer_acceptable_is_an_outcome(autojump_clock: MockClock, url: str) -> None:
    async with running() as stage:
        stage.store.add_webhook(1, 1, url)
        stage.publish(1)
        await stage.settled()
    assert stage.store.outcomes[1].error == "blocked_address"
    assert stage.network.requests == []


async def test_a_changed_url_and_secret_count_from_the_next_claim_on(autojump_clock: MockClock) -> None:
    async with running() as stage:
        stage.store.add_webhook(1, 1, "http://good.example/old")
        stage.publish(1)
        await stage.settled()
        stage.store.endpoints[1] = Endpoint(1, "w0000001", "tenant-1", "http://good.example/new", (b"n" * 32,))
        stage.publish(1)
        await stage.settled()
        last = stage.network.requests[-1]
    assert last.url.path == "/new"
    assert Oracle(format_secret(b"n" * 32)).verify(b"{}", sent_headers(last)) == {}


@pytest.mark.parametrize(
    ("tenants", "webhooks", "most"), [(1, 1, (3, 3, 3)), (1, 2, (3, 6, 6)), (1, 10, (1, 8, 8)), (30, 60, (1, 2, 20))]
)
async def test_attempts_are_bounded_per_webhook_per_tenant_and_in_all(
    autojump_clock: MockClock, tenants: int, webhooks: int, most: tuple[int, int, int]
) -> None:
    settings = DeliverySettings(max_concurrent=20, max_concurrent_per_tenant=8, max_concurrent_per_webhook=3)
    async with running(settings) as stage:
        for webhook in range(webhooks):
            stage.store.add_webhook(webhook % tenants, webhook)
            stage.publish(webhook, 12)
        await stage.until(lambda: stage.router.in_flight == most[2])
        await stage.settled()
        assert stage.store.count("succeeded") == 12 * webhooks
        assert set(stage.store.claims.values()) == {1}
        found = stage.network.most_by_kind
        assert found["webhook"] <= 3
        assert found["tenant"] <= 8
        assert found["all"] == most[2]


async def test_a_hanging_webhook_does_not_delay_another_of_the_same_tenant(autojump_clock: MockClock) -> None:
    async with running() as stage:
        stage.store.add_webhook(1, 1, "http://hangs.example/")
        stage.store.add_webhook(1, 2)
        stage.publish(1, 500)
        stage.publish(2, 200)
        await stage.until(lambda: stage.network.sent(2) == 200, seconds=1)
        assert stage.network.sent(1) == 16


async def test_hanging_tenants_do_not_delay_another(autojump_clock: MockClock) -> None:
    async with running() as stage:
        for tenant in range(40):
            for webhook in range(tenant * 10 + 1, tenant * 10 + 11):
                stage.store.add_webhook(tenant, webhook, "http://hangs.example/")
                stage.publish(webhook, 20)
        await stage.until(lambda: stage.router.in_flight >= 40 * 28)
        stage.store.add_webhook(41, 1000)
        stage.publish(1000, 100)
        began = trio.current_time()
        await stage.until(lambda: stage.network.sent(1000) == 100, seconds=1)
        assert trio.current_time() - began < 100 / 8 * stage.network.pace + 0.05


async def test_a_slot_that_comes_free_goes_to_the_tenant_that_has_least(autojump_clock: MockClock) -> None:
    settings = DeliverySettings(max_concurrent=3, max_concurrent_per_tenant=3)
    async with running(settings) as stage:
        stage.store.add_webhook(1, 1, "http://slow.example/")
        stage.publish(1, 10)
        await trio.sleep(0.5)
        stage.store.add_webhook(2, 2, "http://slow.example/")
        stage.publish(2, 1)
        await stage.until(lambda: len(stage.network.requests) == 6, seconds=0.6)
        assert stage.network.sent(2) == 1


async def test_a_backlog_that_was_announced_too_small_is_delivered_whole(autojump_clock: MockClock) -> None:
    async with running() as stage:
        stage.store.add_webhook(1, 1)
        stage.store.accept(1, 300)
        stage.router.offer({1: {1: 1}})
        await stage.settled(seconds=2)
        assert stage.store.count("succeeded") == 300


async def test_hints_for_what_is_gone_are_forgotten(autojump_clock: MockClock) -> None:
    async with running() as stage:
        stage.store.add_webhook(1, 1)
        stage.router.offer({1: {1: 50}})
        await trio.sleep(IDLE + 0.1)
        assert stage.router.actors == 0
        assert len(stage.store.steps) == 1


async def test_work_offered_while_a_claim_is_under_way_is_delivered(autojump_clock: MockClock) -> None:
    async with running() as stage:
        stage.store.latency = 0.01
        stage.store.add_webhook(1, 1)
        stage.store.add_webhook(1, 2)
        for _ in range(100):
            stage.publish(1)
            stage.publish(2)
            await trio.sleep(0.003)
        await stage.settled()
        assert stage.store.count("succeeded") == 200


@pytest.mark.parametrize("offset", [-0.001, 0.0, 0.001])
@pytest.mark.parametrize("yields", range(4))
async def test_work_offered_while_the_actor_retires_is_delivered(
    autojump_clock: MockClock, offset: float, yields: int
) -> None:
    async with running() as stage:
        stage.store.add_webhook(1, 1)
        for _ in range(10):
            stage.publish(1)
            await stage.settled(seconds=0.5)
            await trio.sleep_until(stage.store.step_times[-1] + IDLE + offset)
            for _ in range(yields):
                await trio.lowlevel.checkpoint()
        stage.publish(1)
        await stage.settled(seconds=0.5)


async def test_an_actor_retires_after_a_second_without_work_and_comes_back(autojump_clock: MockClock) -> None:
    async with running() as stage:
        for tenant in range(1, 2001):
            stage.store.add_webhook(tenant, tenant)
            stage.publish(tenant)
        await stage.settled()
        assert stage.router.actors == 2000
        await trio.sleep(IDLE + 0.1)
        assert stage.router.actors == 0
        stage.publish(7)
        await stage.settled()
        assert stage.store.count("succeeded") == 2001


async def test_outcomes_travel_with_the_next_claims(autojump_clock: MockClock) -> None:
    async with running() as stage:
        stage.store.latency = 0.02
        stage.store.add_webhook(1, 1)
        stage.publish(1, 160)
        await stage.settled()
        assert len(stage.store.steps) <= 12
        assert sum(bool(step.finished and step.claims) for step in stage.store.steps) >= 9


async def test_work_offered_before_the_start_is_delivered(autojump_clock: MockClock) -> None:
    stage = Stage(DeliverySettings())
    stage.store.add_webhook(1, 1)
    stage.publish(1, 5)
    async with trio.open_nursery() as nursery:
        await nursery.start(stage.run)
        await stage.settled()
        await stage.drained()
    assert stage.store.count("succeeded") == 5


async def test_while_storage_stalls_unrecorded_outcomes_are_bounded_and_none_is_lost(autojump_clock: MockClock) -> None:
    settings = DeliverySettings(max_concurrent_per_tenant=32)
    async with running(settings) as stage:
        for webhook in range(1, 9):
            stage.store.add_webhook(1, webhook)
            stage.publish(webhook, 100)
        await stage.until(lambda: stage.store.count("succeeded") > 200)
        recorded = stage.store.count("succeeded")
        stage.store.gate = gate = trio.Event()
        await trio.sleep(30)
        assert stage.router.in_flight == 0
        assert len(stage.network.requests) - recorded <= 2 * 32
        stage.store.gate = None
        gate.set()
        await stage.settled()
        assert stage.store.count("succeeded") == 800
        assert len(stage.network.requests) == 800


@pytest.mark.parametrize("slots", [64, 500])
async def test_a_tenant_may_have_more_webhooks_at_work_than_are_kept_ready(
    autojump_clock: MockClock, slots: int
) -> None:
    async with running(DeliverySettings(max_concurrent_per_tenant=slots)) as stage:
        webhooks = range(1, 501)
        for webhook in webhooks:
            stage.store.add_webhook(1, webhook)
        for step in (1, 7, 3):
            for number in webhooks:
                stage.publish(number * step % 500 + 1)
        await stage.settled()
        assert stage.store.count("succeeded") == 1500
