"""Which stalls of the event loop are told, and when."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from daemon.operations.stall_report import Sample, Stall, StallReport

A, B = Sample("a", "main > a"), Sample("b", "main > b")


def test_a_stall_is_told_when_it_has_ended_with_the_task_that_was_seen_in_it() -> None:
    report = StallReport()
    report.seen(10.0, A)
    assert report.due(10.12, 10.0) is None
    report.ended(10.0, 0.2)
    assert report.due(10.25, None) == Stall(0.2, 0.0, True, 1, 1, "a", "main > a")
    assert report.due(20.0, None) is None


def test_one_that_does_not_end_is_told_after_a_second_and_again_when_it_has() -> None:
    report = StallReport()
    report.seen(10.0, A)
    assert report.due(11.0, 10.0) is None
    assert report.due(11.5, 10.0) == Stall(1.5, 0.0, False, 1, 1, "a", "main > a")
    assert report.due(100.0, 10.0) is None
    report.ended(10.0, 100.0)
    assert report.due(110.0, 110.0) == Stall(100.0, 0.0, True, 1, 1, "a", "main > a")


def test_many_are_one_line_a_second_with_their_number_and_the_longest_of_them() -> None:
    report = StallReport()
    report.ended(10.0, 0.2)
    assert report.due(10.2, None)
    for number, (sample, seconds) in enumerate([(A, 0.11), (B, 0.3), (A, 0.12)]):
        report.seen(10.2 + number, sample)
        report.ended(10.2 + number, seconds)
        assert report.due(10.3, None) is None
    assert report.due(11.3, None) == Stall(0.3, 0.0, True, 3, 1, "b", "main > b")


def test_a_turn_that_many_tasks_made_long_is_told_as_such() -> None:
    report = StallReport()
    for sample in (A, B, Sample("b", "main > elsewhere"), Sample("c", "main > c")):
        report.seen(10.0, sample)
    report.ended(10.0, 0.2)
    assert report.due(11.0, None) == Stall(0.2, 0.0, True, 1, 3, "b", "main > elsewhere")


def test_what_was_seen_in_one_turn_is_not_held_against_another() -> None:
    report = StallReport()
    report.seen(10.0, A)
    report.ended(12.0, 0.2)
    assert report.due(13.0, 14.5) == Stall(0.2, 0.0, True, 1, 0, None, None)
    assert report.due(16.0, 14.5) == Stall(1.5, 0.0, False, 1, 0, None, None)


def test_nobody_is_accused_of_a_stall_in_which_the_whole_process_did_not_run() -> None:
    report = StallReport()
    report.seen(10.0, A)
    report.paused(10.0, 90.0)
    report.ended(10.0, 100.0)
    assert report.due(111.0, None) == Stall(100.0, 90.0, True, 1, 0, None, None)
    report.paused(111.0, 1.0)
    report.seen(111.0, B)
    assert report.due(114.0, 111.0) == Stall(3.0, 1.0, False, 1, 1, "b", "main > b")


def test_a_loop_that_is_stuck_is_not_looked_at_for_ever() -> None:
    report = StallReport()
    looks = 0
    while report.curious(10.0):
        report.seen(10.0, A)
        looks += 1
    assert looks == 20
    assert report.curious(11.0)


@given(st.lists(st.tuples(st.floats(0.1, 3), st.floats(0, 1), st.booleans()), max_size=60))
def test_every_stall_is_counted_once_and_no_second_has_two_lines(turns: list[tuple[float, float, bool]]) -> None:
    report = StallReport()
    now = 100.0
    told: list[tuple[float, Stall]] = []

    def look(turn: float | None) -> None:
        if stall := report.due(now, turn):
            told.append((now, stall))

    for seconds, pause, seen in turns:
        began = now
        if seen:
            report.seen(began, A)
        now = began + seconds / 2
        look(began)
        now = began + seconds
        look(began)
        report.ended(began, seconds)
        look(None)
        now += pause
        look(None)
    now += 1.001  # a second, however the sums above were rounded
    look(None)
    ended = [stall for _, stall in told if stall.ended]
    assert sum(stall.count for stall in ended) == len(turns)
    if turns:
        assert max(stall.seconds for stall in ended) == max(seconds for seconds, *_ in turns)
    for (one, _), (two, _) in pairwise(told):
        assert two - one > 1 - 1e-9
