"""Deleting is slow beside those who commit, keeps up with what they add, and is not held back while nobody does."""

from __future__ import annotations

from daemon.persistence.deletion_rate import LEAST_ROWS, MOST_ROWS, DeletionRate


def deleted_in(
    rate: DeletionRate,
    seconds: float,
    *,
    added_a_second: int,
    commits: bool = True,
    step: float = 0.001,
    since: float = 100.0,
) -> int:
    """Rows that go in so many seconds, when each step deletes as many as it may."""
    now, deleted = since, 0
    end = now + seconds
    while now < end:
        if commits:
            rate.committed(now, round(added_a_second / 100))
        if not rate.pause(now):
            limit = rate.rows
            rate.took(now, limit, limit, step, full=True)
            deleted += limit
        now += 0.01
    return deleted


def test_beside_those_who_add_nothing_it_is_slow() -> None:
    assert 400 * 60 < deleted_in(DeletionRate(), 60, added_a_second=0) < 600 * 60


def test_it_keeps_up_with_what_is_added_with_something_to_spare() -> None:
    for added in (1000, 4000):
        assert 1.5 * added * 60 < deleted_in(DeletionRate(), 60, added_a_second=added) < (2 * added + 600) * 60


def test_while_nobody_commits_it_takes_every_turn() -> None:
    rate = DeletionRate()
    rate.committed(0.0, 0)
    assert deleted_in(rate, 60, added_a_second=0, commits=False) >= 60 / 0.035 * MOST_ROWS * 0.9


def test_a_step_that_takes_long_is_followed_by_smaller_ones_and_a_short_one_by_larger_ones() -> None:
    rate = DeletionRate()
    deleted_in(rate, 60, added_a_second=4000)
    assert rate.rows == MOST_ROWS
    deleted_in(rate, 60, added_a_second=4000, step=0.006, since=200.0)
    assert rate.rows == LEAST_ROWS
    deleted_in(rate, 60, added_a_second=4000, step=0.004, since=300.0)
    assert rate.rows == LEAST_ROWS
