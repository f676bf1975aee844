"""What is recorded of an attempt that could not even be begun."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.delivery import attempt
from daemon.delivery.attempt import Attempt, Postponed
from daemon.delivery.pool import Pool
from daemon.delivery.target import Target
from daemon.egress import AddressPolicy, EgressTransport
from daemon.model import Claimed, Endpoint, Outcome
from daemon.settings import DeliverySettings, EgressSettings

if TYPE_CHECKING:
    import pytest


def test_an_attempt_never_finishes_before_it_started_though_the_clock_is_set_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ends: list[Outcome | Postponed] = []
    times = iter([60_000, 0])
    monkeypatch.setattr(attempt, "now_ms", lambda: next(times))
    target = Target(Endpoint(1, "w0000001", "acme", "http://", (b"k" * 32,)))
    claimed = Claimed(1, 1, "dlv_1", "evt_1", "onboard.session.completed", "{}", False)
    transport = EgressTransport(DeliverySettings(), EgressSettings(), AddressPolicy())
    Attempt(claimed, target, transport, Pool(), 1.0, lambda _, result: ends.append(result)).begin()
    (outcome,) = ends
    assert isinstance(outcome, Outcome)
    assert (outcome.status, outcome.error) == ("failed", "blocked_address")
    assert (outcome.started, outcome.finished) == (60_000, 60_000)
