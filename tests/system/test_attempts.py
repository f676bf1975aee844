"""The comparison attempt by attempt sees what counting cannot."""

from __future__ import annotations

from dataclasses import replace

import pytest
from harness.attempts import Post, disagreements
from harness.books import Row

CUT = Row("d1", "/0", "e1", "k1", "interrupted", None, 1000, 2000)
CUT_TOO = Row("d2", "/0", "e1", "k1", "interrupted", "d1", 3000, 4000)
GOOD = Row("d3", "/0", "e1", "k1", "succeeded", "d1", 5000, 5100)
BAD = Row("d4", "/1", "e1", "k1", "failed", None, 1000, 1100)
ROWS = [CUT, CUT_TOO, GOOD, BAD]
POSTS = [Post("/0", "e1", 1500, 200), Post("/0", "e1", 5050, 200), Post("/1", "e1", 1050, 500)]


def test_attempts_that_made_their_posts_agree_and_an_interrupted_one_need_not() -> None:
    assert disagreements(ROWS, POSTS) == []
    assert disagreements(ROWS, POSTS[1:]) == []


def test_an_interrupted_redelivery_that_never_arrived_does_not_hide_that_another_was_sent_twice() -> None:
    assert disagreements(ROWS, [*POSTS, Post("/0", "e1", 2500, 200)])
    assert disagreements(ROWS, [*POSTS, Post("/0", "e1", 1600, 200)])
    assert disagreements(ROWS, [*POSTS, Post("/0", "e1", 3500, 200)]) == []


@pytest.mark.parametrize("missing", [1, 2])
def test_an_end_without_a_post_in_its_time_is_seen(missing: int) -> None:
    assert disagreements(ROWS, POSTS[:missing] + POSTS[missing + 1 :])
    assert disagreements(ROWS, [replace(post, at=9000) if post is POSTS[missing] else post for post in POSTS])


@pytest.mark.parametrize(("post", "answer"), [(1, 500), (1, 0), (2, 200)])
def test_an_end_that_is_not_what_was_answered_is_seen(post: int, answer: int) -> None:
    assert disagreements(ROWS, [replace(one, answer=answer) if one is POSTS[post] else one for one in POSTS])


@pytest.mark.parametrize("status", ["pending", "cancelled"])
def test_a_post_of_what_was_not_attempted_is_seen(status: str) -> None:
    assert disagreements([replace(CUT, status=status), *ROWS[1:]], POSTS)


def test_a_post_written_down_a_little_late_is_not_held_against_it() -> None:
    assert disagreements([GOOD], [replace(POSTS[1], at=GOOD.finished + 20)]) == []
