"""How many requests a token may make: exact over any span, the same for everybody, in bounded memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.front_end.rate_limit import RateLimit
from daemon.settings import Limits

RATES = st.sampled_from([0.1, 0.5, 1.0, 3.0, 7.0, 100.0])
BURSTS = st.integers(1, 30)
GAPS = st.lists(st.floats(0, 20), max_size=60)


def limits(rate: float, burst: int) -> Limits:
    return Limits(requests_per_second=rate, request_burst=burst)


@given(RATES, BURSTS, GAPS)
def test_in_no_span_do_more_pass_than_the_burst_and_what_the_rate_adds(
    rate: float, burst: int, gaps: list[float]
) -> None:
    limit, now, passed = RateLimit(), 1000.0, list[float]()
    for gap in gaps:
        now += gap
        decision = limit.decide("t", limits(rate, burst), now)
        assert decision is not None
        if decision.allowed:
            passed.append(now)
    for first, began in enumerate(passed):
        for last in range(first, len(passed)):
            assert last - first + 1 <= burst + (passed[last] - began) * rate + 0.01


@given(RATES, BURSTS, GAPS)
def test_what_the_headers_promise_holds(rate: float, burst: int, gaps: list[float]) -> None:
    limit, now = RateLimit(), 1000.0
    for gap in gaps:
        now += gap
        decision = limit.decide("t", limits(rate, burst), now)
        assert decision is not None
        if not decision.allowed:
            now += decision.seconds
            decision = limit.decide("t", limits(rate, burst), now)
            assert decision is not None
            assert decision.allowed
        assert 0 <= decision.remaining < burst
        for left in reversed(range(decision.remaining)):
            following = limit.decide("t", limits(rate, burst), now)
            assert following is not None
            assert (following.allowed, following.remaining) == (True, left)
        refused = limit.decide("t", limits(rate, burst), now)
        assert refused is not None
        assert not refused.allowed


def test_a_whole_window_may_be_used_again_after_it() -> None:
    limit = RateLimit()
    for window in range(3):
        decisions = [limit.decide("t", limits(2, 9), window * 5.0) for _ in range(9)]
        assert all(decision is not None and decision.allowed for decision in decisions)
    (last,) = decisions[-1:]
    assert last is not None
    assert last.headers() == {"RateLimit-Policy": '"token";q=9;w=5', "RateLimit": '"token";r=0;t=1'}


def test_a_refusal_says_when_to_come_back() -> None:
    limit = RateLimit()
    assert limit.decide("t", limits(0.1, 1), 0.0)
    decision = limit.decide("t", limits(0.1, 1), 3.0)
    assert decision is not None
    assert decision.headers() == {
        "Retry-After": "7",
        "RateLimit-Policy": '"token";q=1;w=10',
        "RateLimit": '"token";r=0;t=7',
    }


def test_one_token_does_not_slow_another() -> None:
    limit = RateLimit()
    for _ in range(5):
        limit.decide("greedy", limits(1, 1), 0.0)
    decision = limit.decide("modest", limits(1, 1), 0.0)
    assert decision is not None
    assert decision.allowed


def test_without_a_limit_nothing_is_kept_and_a_new_one_starts_anew() -> None:
    limit = RateLimit()
    assert limit.decide("t", limits(1, 1), 0.0)
    assert limit.decide("t", limits(0, 1), 0.0) is None
    assert len(limit) == 0
    decision = limit.decide("t", limits(1, 1), 0.0)
    assert decision is not None
    assert decision.allowed


def test_tokens_that_are_idle_are_forgotten_and_there_are_never_more_than_fit() -> None:
    limit = RateLimit(room=100)
    for number in range(1000):
        limit.decide(f"t{number}", limits(1, 10), 0.0)
        assert len(limit) <= 100
    for number in range(200):
        limit.decide("one", limits(1, 1000), 50.0 + number / 100)
    assert len(limit) == 1


@pytest.mark.parametrize("rate", [0.1, 1 / 3, 7.0, 100.0])
def test_rounding_never_refuses_what_fits(rate: float) -> None:
    limit, now = RateLimit(), 1e9
    for _ in range(10_000):
        now += 1 / rate
        decision = limit.decide("t", limits(rate, 1), now)
        assert decision is not None
        assert decision.allowed
