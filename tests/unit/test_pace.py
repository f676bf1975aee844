"""Beginnings of slow attempts are spaced so that a burst is spread, and never so far that slots stay idle for it."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import cycle, pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from daemon.delivery.pace import SPREAD, TOLERANCE, Pace

_durations = st.floats(0.001, 30.0)


def seen(slots: int, *durations: float) -> Pace:
    """A pace that has seen attempts of these durations for long; they hold all slots."""
    pace = Pace(slots)
    pace.held(slots, 0.0)
    for _ in range(1000):
        for seconds in durations:
            pace.ended(seconds)
    return pace


def test_until_something_slow_was_seen_any_number_may_begin_at_once() -> None:
    pace = Pace(2048)
    for _ in range(1000):
        assert pace.turn(0.0) <= 0.0
        assert pace.ready(0.0) > 10_000


def test_a_thousand_attempts_that_hung_begin_again_over_half_the_time_that_they_take() -> None:
    pace = seen(2048, 15.0)
    turns = [pace.turn(100.0) for _ in range(1160)]
    assert [after - before for before, after in pairwise(turns)] == pytest.approx([15 * SPREAD / 2048] * 1159)
    assert 7 < turns[-1] - turns[0] < 7.5
    assert turns[0] == 100 - TOLERANCE


def test_the_fewer_hold_slots_the_wider_they_are_spaced_also_when_all_end_at_one_moment() -> None:
    pace = seen(2048, 15.0)
    pace.held(-1024, 50.0)
    assert pace.turn(50.0) <= 50.0
    assert pace.gap == pytest.approx(15 * SPREAD / 2048)
    pace.turn(80.0)
    assert pace.gap == pytest.approx(15 * SPREAD / 1024)
    pace.held(-1024, 81.0)
    pace.turn(94.0)
    assert pace.gap == pytest.approx(15 * SPREAD / 1024)


def test_a_quarter_of_the_slots_is_reckoned_with_at_least() -> None:
    pace = seen(2048, 15.0)
    pace.held(-2048, 50.0)
    pace.turn(100.0)
    assert pace.gap == pytest.approx(15 * SPREAD / 512)


def test_several_turns_of_one_tenant_keep_the_next_as_long_as_so_many_tenants_would() -> None:
    one, many = seen(64, 15.0), seen(64, 15.0)
    one.turn(100.0, 5)
    for _ in range(5):
        many.turn(100.0)
    assert one.turn(100.0) == pytest.approx(many.turn(100.0))


@given(st.lists(_durations, min_size=1, max_size=8))
def test_the_gap_follows_the_mean_of_what_ended(durations: list[float]) -> None:
    gaps = seen(100, *durations).gap * 100 / SPREAD
    assert min(durations) * 0.999 <= gaps <= max(durations) * 1.001
    assert gaps == pytest.approx(sum(durations) / len(durations), rel=0.15, abs=max(durations) / 12)


def test_the_gap_falls_again_when_slow_attempts_become_faster() -> None:
    pace = seen(2048, 15.0)
    for _ in range(200):
        pace.ended(1.5)
    assert pace.gap < 2.2 * SPREAD / 2048


def test_beginnings_that_come_late_catch_up_but_not_on_more_than_the_tolerance() -> None:
    pace = seen(2048, 1.5)
    pace.turn(100.0)
    due = pace.turn(100.0)
    assert pace.ready(due) == 0
    assert pace.ready(due + 10.5 * pace.gap) == 10
    assert pace.ready(due + 60) == int(TOLERANCE / pace.gap) + 1


@given(
    st.lists(st.tuples(st.floats(0, 0.1), st.integers(1, 5)), min_size=1, max_size=60),
    st.floats(1.0, 15.0),
    st.integers(16, 4096),
)
def test_whoever_asks_and_when_no_more_begin_than_the_schedule_has_turns(
    calls: list[tuple[float, int]], seconds: float, slots: int
) -> None:
    pace, now = seen(slots, seconds), 50.0
    begun: list[float] = []
    for waited, count in calls:
        now += waited
        due = pace.turn(now)
        begun.append(max(now, due))
        extra = min(count, pace.ready(now)) if due <= now else 0
        if extra:
            pace.turn(now, extra)
            begun.extend([now] * extra)
    begun.sort()
    for first in range(len(begun)):
        for last in range(first, len(begun)):
            spell = begun[last] - begun[first]
            assert last - first + 1 <= (spell + pace.tolerance) / pace.gap + 1.001


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(1.0, 20.0), min_size=1, max_size=6), st.integers(8, 64), st.floats(0.0, TOLERANCE))
@example([4.0, 7.0, 3.0, 9.0, 2.0], 8, 0.0)
def test_slots_are_kept_busy_whatever_attempts_last(durations: list[float], slots: int, late: float) -> None:
    """Every slot always has work; each beginning comes `late`, with the commit before it. Durations that differ widely
    and come in the same order for ever, as in the example, cost most: the mean runs behind them."""
    pace, lasting, now = Pace(slots), cycle(durations), 0.0
    ends: list[tuple[float, float]] = []
    free, ended = slots, 0
    begin, end = 60 * max(durations), 160 * max(durations)
    turn = pace.turn(now)
    while now < end:
        if free and (not ends or turn + late <= ends[0][0]):
            now = max(now, turn + late)
            count = min(free, 1 + pace.ready(now))
            if count > 1:
                pace.turn(now, count - 1)
            pace.held(count, now)
            for _ in range(count):
                seconds = next(lasting)
                heappush(ends, (now + seconds, seconds))
            free -= count
            turn = pace.turn(now)
        else:
            now, seconds = heappop(ends)
            pace.ended(seconds)
            pace.held(-1, now)
            free += 1
            ended += now > begin
    mean = sum(durations) / len(durations)
    assert ended >= 0.9 * slots / mean * (end - begin)
