"""What is recorded of an attempt that could not even be begun."""

from __future__ import annotations

import httpx
import trio

from daemon.delivery.attempt import attempt
from daemon.delivery.target import Target
from daemon.egress.exchange import Exchange
from daemon.identifiers import now_ms
from daemon.model import Claimed, Endpoint, Outcome


class Unreachable(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise AssertionError("there is nothing to send")


async def test_an_attempt_never_finishes_before_it_started_though_the_clock_is_set_back() -> None:
    target = Target(Endpoint(1, "w0000001", "acme", "http://", (b"k" * 32,)))
    claimed = Claimed(1, 1, "dlv_1", "evt_1", "onboard.session.completed", "{}", False)
    later = now_ms() + 60_000
    outcome = await attempt(claimed, target, Exchange(1, "acme", trio.current_time() + 1), Unreachable(), later)
    assert isinstance(outcome, Outcome)
    assert (outcome.status, outcome.error) == ("failed", "blocked_address")
    assert (outcome.started, outcome.finished) == (later, later)
