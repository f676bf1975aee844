"""Attempts at webhooks that are not prompt begin in turns; prompt ones and first attempts do not wait for any."""

from __future__ import annotations

from math import inf

import pytest

from daemon.delivery.pace import SPREAD, TOLERANCE, Pace
from daemon.delivery.promptness import Verdicts
from daemon.delivery.work import Work


def known(prompt: range = range(0), slow: range = range(0)) -> Verdicts:
    verdicts = Verdicts()
    for webhook in (*prompt, *slow):
        verdicts.note(webhook, webhook in prompt)
    return verdicts


def behind_slow_ones(prompt: range = range(0), slow: range = range(0)) -> tuple[Work, Pace]:
    """Work where a second lies between two beginnings at webhooks that are not prompt; the next is due in 10 s."""
    pace = Pace(1)
    for _ in range(1000):
        pace.ended(1 / SPREAD)
    pace.turn(0.0, 12)
    return Work(16, 64, known(prompt, slow), pace), pace


def begun(work: Work, now: float) -> dict[int, int]:
    """What is claimed at an instant with any number of slots, all of it found."""
    work.look(now, 64)
    claims = work.plan(work.claimable)
    for claim in claims:
        work.settle(claim, claim.limit)
    return {claim.webhook: claim.limit for claim in claims}


def test_slow_webhooks_begin_one_attempt_a_turn() -> None:
    work, pace = behind_slow_ones(slow=range(3))
    for webhook in range(3):
        work.add(webhook, 100)
    assert begun(work, 0.0) == {}
    assert (work.claimable, work.withheld) == (0, 48)
    assert work.turn == pytest.approx(10, abs=0.1)
    due = work.turn
    assert begun(work, due - 0.001) == {}
    assert [begun(work, due), begun(work, due)] == [{0: 1}, {}]
    assert work.turn == pytest.approx(due + pace.gap)
    assert [begun(work, due + 1), begun(work, due + 1.5), begun(work, due + 2)] == [{1: 1}, {}, {2: 1}]


def test_prompt_webhooks_do_not_wait_for_a_turn() -> None:
    work, _ = behind_slow_ones(prompt=range(1), slow=range(1, 3))
    for webhook in range(3):
        work.add(webhook, 100)
    assert begun(work, 0.0) == {0: 16}


def test_the_first_attempt_at_a_new_webhook_does_not_wait_for_a_turn_and_others_behind_a_backlog_do() -> None:
    work, _ = behind_slow_ones()
    work.add(1, 3)
    work.add(2, 17)
    assert begun(work, 0.0) == {1: 1}
    assert begun(work, 0.0) == {}
    work.begin(1, 1, 0.0)
    work.end(1, 1, 0.5, attempted=True)
    assert begun(work, 0.5) == {1: 2}


def test_a_look_for_more_work_of_a_slow_webhook_needs_no_turn_and_what_it_finds_does() -> None:
    work, _ = behind_slow_ones(slow=range(2))
    work.add(1, 1)
    due = 11.0
    assert begun(work, due) == {1: 1}
    work.begin(1, 1, due)
    work.end(1, 1, due + 5, attempted=True)
    work.look(due + 5, 64)
    work.plan(0)
    work.add(0, 5)
    while begun(work, due + 5):
        pass
    assert work.withheld > 0
    work.probe()
    assert begun(work, due + 5) == {1: 1}
    assert begun(work, due + 5) == {}


def test_a_turn_that_came_without_a_slot_is_kept_and_nobody_is_woken_for_it_again() -> None:
    work, pace = behind_slow_ones(slow=range(2))
    work.add(1, 5)
    work.look(0.0, 64)
    due = work.turn
    work.look(due, 64)
    assert (work.claimable, work.plan(0), work.turn) == (1, [], inf)
    later = pace.turn(due)
    assert begun(work, due) == {1: 1}
    assert pace.turn(due) == later + pace.gap


def test_several_that_begin_late_take_as_many_turns() -> None:
    pace = Pace(1)
    for _ in range(1000):
        pace.ended(TOLERANCE / 4 / SPREAD)
    work = Work(16, 64, known(slow=range(1)), pace)
    work.add(0, 100)
    assert begun(work, 5.0) == {0: 5}
    assert begun(work, 5.0) == {}
    assert work.turn == pytest.approx(5.0 + pace.gap)


def test_a_tenant_waits_for_one_turn_at_a_time() -> None:
    work, pace = behind_slow_ones(slow=range(1))
    other = Work(16, 64, known(slow=range(1)), pace)
    for one in (work, other):
        one.add(0, 100)
    order = []
    now = 0.0
    while len(order) < 10:
        for one in (work, other):
            if begun(one, now):
                order.append(one)
        now = min(work.turn, other.turn)
    assert order == [work, other] * 5


def test_what_was_never_an_attempt_and_what_was_prompt_does_not_change_the_pace() -> None:
    work, pace = behind_slow_ones(prompt=range(1), slow=range(1, 2))
    before = pace.gap
    for webhook in (0, 1):
        work.add(webhook, 1)
    assert begun(work, 11.0) == {0: 1, 1: 1}
    for webhook in (0, 1):
        work.begin(webhook, webhook, 11.0)
    work.end(0, 0, 11.5, attempted=True)
    work.end(1, 1, 11.5, attempted=False)
    assert pace.gap == before


@pytest.mark.parametrize("looked", [False, True])
def test_attempts_count_for_the_pace_with_the_time_they_took(looked: bool) -> None:
    pace = Pace(64)
    work = Work(16, 64, known(prompt=range(1)), pace)
    work.add(0, 16)
    assert begun(work, 0.0) == {0: 16}
    for number in range(16):
        work.begin(0, number, 0.0)
    if looked:
        work.look(4.0, 64)
    for number in range(16):
        work.end(0, number, 8.0, attempted=True)
    assert pace.gap * 16 / SPREAD == pytest.approx(8 * (1 - (63 / 64) ** 16))


@pytest.mark.parametrize(("prompt", "reckoned"), [(range(0), 8), (range(1), 1)], ids=["slow", "prompt"])
def test_the_pace_reckons_with_the_slow_attempts_in_flight(prompt: range, reckoned: int) -> None:
    pace = Pace(4)
    work = Work(16, 64, known(prompt, slow=range(1)), pace)
    work.add(0, 8)
    assert begun(work, 0.0) == {0: 8}
    for _ in range(1000):
        pace.ended(8.0)
    for number in range(8):
        work.begin(0, number, 0.0)
    assert pace.gap * reckoned / SPREAD == pytest.approx(8)
    work.look(2.0, 64)
    assert pace.gap * 8 / SPREAD == pytest.approx(8), "what is in flight for so long is slow"
    for number in range(8):
        work.end(0, number, 3.0, attempted=False)
    for now in (12.0, 21.0):
        pace.turn(now)
    assert pace.gap / SPREAD == pytest.approx(8)
