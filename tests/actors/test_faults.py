"""Whose fault it was decides: the receiver's is an outcome, this machine's is no attempt, a bug is `internal`."""

from __future__ import annotations

from itertools import count
from time import perf_counter
from typing import TYPE_CHECKING

import pytest
import trio
from stand_ins import running

from daemon.egress.faults import EgressError, LocalFault
from daemon.model import Timings

if TYPE_CHECKING:
    import httpx
    from recorded_log import RecordedLog
    from trio.testing import MockClock

    from daemon.egress.exchange import Exchange


async def test_what_a_receiver_does_is_an_outcome_with_its_code_and_sentence(autojump_clock: MockClock) -> None:
    async with running() as stage:
        stage.store.add_webhook(1, 1, "http://refuses.example/")
        stage.store.add_webhook(1, 2, "http://hangs.example/")
        stage.publish(1)
        stage.publish(2)
        await stage.settled()
        refused, hung = stage.store.outcomes[1], stage.store.outcomes[2]
    assert (refused.status, refused.error, refused.error_detail) == (
        "failed",
        "connect_refused",
        "Nobody listens there.",
    )
    assert (hung.status, hung.error) == ("failed", "response_timeout")
    assert (refused.status_code, refused.response_body) == (None, None)


async def test_a_fault_of_this_machine_is_no_attempt_and_claiming_backs_off(
    autojump_clock: MockClock, log: RecordedLog
) -> None:
    async with running() as stage:
        stage.store.add_webhook(1, 1, "http://broke.example/")
        stage.store.add_webhook(2, 2)
        stage.publish(1, 3)
        began = trio.current_time()
        await stage.until(lambda: len(stage.network.requests) == 3 * 9)
        starts = sorted({round(at - began, 3) for at in stage.network.times})
        assert starts == pytest.approx([0, 0.1, 0.3, 0.7, 1.5, 3.1, 6.3, 11.3, 16.3])
        assert stage.store.outcomes == {}
        stage.publish(2, 100)
        await stage.until(lambda: stage.store.count("succeeded") == 100, seconds=1)
        stage.network.hosts["broke"] = lambda *_: stage.network.answer_well()
        await stage.settled(seconds=5.1)
        assert stage.store.count("succeeded") == 103
    assert stage.counts.postponements == 3 * 9
    first = min(log.lines("delivery.postponed"), key=lambda line: str(line["delivery"]))
    assert first == {
        "tenant": "tenant-1",
        "webhook": "w0000001",
        "delivery": "dlv_1",
        "event_id": "evt_1",
        "event_type": "onboard.session.completed",
        "detail": "no file descriptor is left",
    }


async def test_nothing_that_may_have_been_sent_is_ever_put_back(autojump_clock: MockClock) -> None:
    def answer(request: httpx.Request, exchange: Exchange) -> httpx.Response:
        exchange.wrote = True
        raise LocalFault("too late to say so")

    async with running() as stage:
        stage.network.hosts["odd"] = answer
        stage.store.add_webhook(1, 1, "http://odd.example/")
        stage.publish(1)
        await stage.settled()
        assert stage.store.outcomes[1].error == "internal"
        assert len(stage.network.requests) == 1


@pytest.mark.parametrize("kind", [ZeroDivisionError, KeyError, ExceptionGroup])
async def test_a_bug_in_an_attempt_is_internal_with_its_traceback_in_the_log(
    autojump_clock: MockClock, log: RecordedLog, kind: type[Exception]
) -> None:
    async def answer(request: httpx.Request, exchange: Exchange) -> httpx.Response:
        raise ExceptionGroup("many", [ValueError("a secret")]) if kind is ExceptionGroup else kind("a secret")

    async with running() as stage:
        stage.network.hosts["odd"] = answer
        stage.store.add_webhook(1, 1, "http://odd.example/")
        stage.store.add_webhook(1, 2)
        stage.publish(1)
        stage.publish(2)
        await stage.settled()
        outcome = stage.store.outcomes[1]
        assert stage.store.states == {1: "failed", 2: "succeeded"}
    assert outcome.error == "internal"
    assert outcome.error_detail is not None
    assert "secret" not in outcome.error_detail
    (line,) = log.lines("delivery.bug")
    assert isinstance(line["exc_info"], kind)
    assert line["exc_info"].__traceback__ is not None
    assert line["delivery"] == "dlv_1"


async def test_every_attempt_gives_one_line_and_one_count_after_its_commit(
    autojump_clock: MockClock, log: RecordedLog
) -> None:
    async with running() as stage:
        stage.store.add_webhook(1, 1)
        stage.store.latency = 0.5
        stage.publish(1, 2)
        await trio.sleep(0.9)
        assert len(stage.network.requests) == 2
        assert log.lines("delivery.attempted") == []
        assert stage.counts.attempts == []
        await stage.settled()
    assert len(stage.counts.attempts) == 2
    assert all(outcome in stage.counts.attempts for outcome in stage.store.outcomes.values())
    first, second = sorted(log.lines("delivery.attempted"), key=lambda line: str(line["delivery"]))
    assert second["delivery"] == "dlv_2"
    assert first == {
        "tenant": "tenant-1",
        "webhook": "w0000001",
        "delivery": "dlv_1",
        "event_id": "evt_1",
        "event_type": "onboard.session.completed",
        "status": "succeeded",
        "status_code": 200,
        "error": None,
        "timings": Timings(total=10.0),
        "redelivery": False,
        "traceparent": None,
    }


async def test_an_outcome_that_lost_its_row_is_neither_logged_nor_counted(
    autojump_clock: MockClock, log: RecordedLog
) -> None:
    async with running() as stage:
        stage.store.add_webhook(1, 1, "http://slow.example/")
        stage.publish(1, 2)
        await stage.until(lambda: len(stage.network.requests) == 2)
        stage.store.removed.add(1)
        await stage.until(lambda: stage.store.count("succeeded") == 1)
        await trio.sleep(1)
    assert [line["delivery"] for line in log.lines("delivery.attempted")] == ["dlv_2"]
    assert len(stage.counts.attempts) == 1


async def test_a_receivers_error_after_a_fault_does_not_hurry_the_back_off(autojump_clock: MockClock) -> None:
    turn = count()

    def answer(request: httpx.Request, exchange: Exchange) -> httpx.Response:
        if next(turn) % 2:
            raise EgressError("connect_refused", "Nobody listens there.")
        raise LocalFault("no file descriptor is left")

    async with running() as stage:
        stage.network.hosts["odd"] = answer
        stage.store.add_webhook(1, 1, "http://odd.example/")
        stage.publish(1, 64)
        began = trio.current_time()
        await stage.settled(seconds=300)
        starts = sorted({round(at - began, 3) for at in stage.network.times})
        assert starts[:5] == pytest.approx([0, 0.1, 0.3, 0.7, 1.5])


class LateClock(trio.abc.Clock):
    """The real clock, but for one second that passes between two readings."""

    def __init__(self) -> None:
        self._left = 0
        self._lost = 0.0

    def lose_a_second_after(self, readings: int) -> None:
        self._left = readings

    def start_clock(self) -> None:
        pass

    def current_time(self) -> float:
        now = perf_counter() + self._lost
        if self._left:
            self._left -= 1
            if not self._left:
                self._lost = 1.0
        return now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        return deadline - self.current_time()


@pytest.fixture
def late_clock() -> LateClock:
    return LateClock()


@pytest.mark.parametrize("readings", range(1, 16))
async def test_claiming_goes_on_though_the_pause_ends_between_two_looks_at_the_clock(
    late_clock: LateClock, readings: int
) -> None:
    async with running() as stage:
        stage.store.add_webhook(1, 1, "http://broke.example/")
        stage.publish(1)
        await stage.until(lambda: stage.counts.postponements == 1)
        stage.network.hosts["broke"] = lambda *_: stage.network.answer_well()
        stage.publish(1)
        late_clock.lose_a_second_after(readings)
        await stage.settled(seconds=5)
        assert stage.store.count("succeeded") == 2
