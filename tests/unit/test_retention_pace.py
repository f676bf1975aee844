"""Deleting is slow beside those who commit, keeps up with what they add, and is not held back while nobody does."""

from __future__ import annotations

from daemon.persistence.pace import LEAST_ROWS, MOST_ROWS, Pace


def deleted_in(
    pace: Pace, seconds: float, *, added_a_second: int, commits: bool = True, step: float = 0.001, since: float = 100.0
) -> int:
    """Rows that go in so many seconds, when each step of the pace deletes as many as it may."""
    now, deleted = since, 0
    end = now + seconds
    while now < end:
        if commits:
            pace.committed(now, round(added_a_second / 100))
        if not pace.pause(now):
            limit = pace.rows
            pace.took(now, limit, limit, step, full=True)
            deleted += limit
        now += 0.01
    return deleted


def test_beside_those_who_add_nothing_it_is_slow() -> None:
    assert 400 * 60 < deleted_in(Pace(), 60, added_a_second=0) < 600 * 60


def test_it_keeps_up_with_what_is_added_with_something_to_spare() -> None:
    for rate in (1000, 4000):
        assert 1.5 * rate * 60 < deleted_in(Pace(), 60, added_a_second=rate) < (2 * rate + 600) * 60


def test_while_nobody_commits_it_takes_every_turn() -> None:
    pace = Pace()
    pace.committed(0.0, 0)
    assert deleted_in(pace, 60, added_a_second=0, commits=False) >= 60 / 0.035 * MOST_ROWS * 0.9


def test_a_step_that_takes_long_is_followed_by_smaller_ones_and_a_short_one_by_larger_ones() -> None:
    pace = Pace()
    deleted_in(pace, 60, added_a_second=4000)
    assert pace.rows == MOST_ROWS
    deleted_in(pace, 60, added_a_second=4000, step=0.006, since=200.0)
    assert pace.rows == LEAST_ROWS
    deleted_in(pace, 60, added_a_second=4000, step=0.004, since=300.0)
    assert pace.rows == LEAST_ROWS
