"""The ledgers' comparison itself: it sees a lost, a repeated, a stuck and an unexplained delivery."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from harness.books import AppendOnly, Promises, Reckoning, Row, reconcile

if TYPE_CHECKING:
    from pathlib import Path

BOOK = [
    ["asked", "k1", "k2"],
    ["promised", "e1", "k1", "2"],
    ["promised", "e2", "k2", "1"],
    ["redeliver", "d1"],
    ["redelivered", "d1", "d4"],
]
ROWS = [
    Row("d1", "/0", "e1", "k1", "succeeded", None),
    Row("d2", "/1", "e1", "k1", "interrupted", None),
    Row("d3", "/0", "e2", "k2", "succeeded", None),
    Row("d4", "/0", "e1", "k1", "succeeded", "d1"),
]
ARRIVALS = Counter({("/0", "e1"): 2, ("/1", "e1"): 1, ("/0", "e2"): 1})


def reckoned(
    rows: list[Row] = ROWS, arrivals: Counter[tuple[str, str]] = ARRIVALS, book: list[list[str]] = BOOK
) -> Reckoning:
    promises = Promises()
    promises.note(book)
    return reconcile(promises, rows, arrivals)


def test_books_that_agree_are_sound() -> None:
    sound = reckoned()
    assert sound.sound
    assert (sound.promised, sound.originals, sound.redeliveries, sound.arrived) == (3, 3, 1, 4)


def test_an_interrupted_delivery_may_not_have_arrived() -> None:
    assert reckoned(arrivals=ARRIVALS - Counter([("/1", "e1")])).sound


@pytest.mark.parametrize("missing", range(4))
def test_a_row_that_is_gone_is_lost(missing: int) -> None:
    assert reckoned(rows=ROWS[:missing] + ROWS[missing + 1 :]).lost


def test_a_success_that_never_arrived_is_lost() -> None:
    assert reckoned(arrivals=ARRIVALS - Counter([("/0", "e2")])).lost


@pytest.mark.parametrize("key", ARRIVALS)
def test_one_post_more_than_deliveries_is_twice(key: tuple[str, str]) -> None:
    assert reckoned(arrivals=ARRIVALS + Counter([key])).twice == [key]


def test_a_post_that_is_on_no_record_is_twice() -> None:
    assert reckoned(arrivals=ARRIVALS + Counter([("/0", "e9")])).twice == [("/0", "e9")]


def test_a_post_of_a_cancelled_delivery_is_twice() -> None:
    rows = [replace(row, status="cancelled") if row.id == "d2" else row for row in ROWS]
    assert reckoned(rows=rows).twice == [("/1", "e1")]


@pytest.mark.parametrize("status", ["pending", "sending"])
def test_what_has_not_ended_is_stuck(status: str) -> None:
    assert reckoned(rows=[*ROWS[:3], replace(ROWS[3], status=status)]).stuck == [f"d4 is {status}"]


def test_what_nobody_asked_for_is_unexplained() -> None:
    assert reckoned(rows=[*ROWS, Row("d5", "/0", "e3", "k3", "interrupted", None)]).unexplained
    assert reckoned(rows=[*ROWS, Row("d5", "/0", "e1", "k1", "interrupted", "d1")]).unexplained
    assert reckoned(rows=[*ROWS[:3], replace(ROWS[3], status="failed")]).unexplained


def test_a_line_is_read_once_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "book"
    book = AppendOnly(path)
    path.write_text("asked k1\nasked k")
    assert book.new_lines() == [["asked", "k1"]]
    path.write_text("asked k1\nasked k2\n")
    assert book.new_lines() == [["asked", "k2"]]
    assert book.new_lines() == []
