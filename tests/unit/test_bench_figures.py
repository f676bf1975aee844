"""The benchmark's pure parts: percentiles, verdicts, the table, the document's measured part."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.figures import Figure, Target
from tests.bench.percentiles import median, p99, percentile
from tests.bench.report import BEGIN, END, with_results
from tests.bench.table import COLUMNS, cells, markdown, number

SOME = st.lists(st.floats(0, 1e9), min_size=1)


@given(SOME, st.floats(0.1, 100))
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(values: list[float], percent: float) -> None:
    found = percentile(values, percent)
    share = 100 * sum(value <= found for value in values) / len(values)
    below = 100 * sum(value < found for value in values) / len(values)
    assert found in values
    assert share >= percent - 1e-9
    assert below < percent


def test_the_p99_of_a_hundred_is_the_second_largest_but_none_of_a_few_is_left_out() -> None:
    assert p99(range(100)) == 98
    assert p99([1, 2, 3]) == 3
    assert median([3, 1, 2]) == 2


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1.0], 0), ([1.0], 101)])
def test_there_is_no_percentile_of_nothing_nor_of_an_impossible_rank(values: list[float], percent: float) -> None:
    with pytest.raises(ValueError, match="percentile"):
        percentile(values, percent)


@pytest.mark.parametrize(
    ("value", "base", "target", "verdict"),
    [
        (1200, None, Target("at least", 1200), "met"),
        (1199, None, Target("at least", 1200), "missed"),
        (80, None, Target("at most", 80), "met"),
        (81, None, Target("at most", 80), "missed"),
        (15, 100, Target("at least", 0.15, of="ratio"), "met"),
        (14, 100, Target("at least", 0.15, of="ratio"), "missed"),
        (14, None, Target("at least", 0.15, of="ratio"), ""),
        (14, 0, Target("at least", 0.15, of="ratio"), ""),
        (14, 100, None, ""),
    ],
)
def test_a_verdict_holds_the_value_or_its_ratio_against_the_target(
    value: float, base: float | None, target: Target | None, verdict: str
) -> None:
    assert Figure("group", "name", value, "", base, target).verdict == verdict


def test_a_row_shows_everything_and_one_without_a_target_shows_none() -> None:
    judged = Figure("cost", "1 webhook", 84.25, "µs", 20, Target("at most", 6, of="ratio", aim=4), "CPU")
    assert cells(judged) == ("cost: 1 webhook", "84.2 µs", "20 µs", "4.21", "≤ 6 x (aim 4)", "met", "CPU")
    assert cells(Figure("memory", "idle", 61234, "MB")) == ("memory: idle", "61,234 MB", "", "", "", "", "")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.2346, "0.235"), (1.5, "1.5"), (42.04, "42"), (99.96, "100"), (1234567.8, "1,234,568")],
)
def test_numbers_have_three_digits_or_are_whole(value: float, text: str) -> None:
    assert number(value) == text


def test_a_markdown_row_has_a_cell_for_each_column_whatever_a_note_says() -> None:
    lines = markdown([Figure("a", "b", 1, "s", note="this | that")]).splitlines()
    assert {line.count("|") for line in lines} == {len(COLUMNS) + 1}


def test_a_run_replaces_the_measured_part_of_the_document_and_nothing_else() -> None:
    document = f"before\n{BEGIN}old\n{END}after\n"
    once = with_results(document, {"kernel": "6"}, [Figure("a", "b", 1, "s")])
    assert once.startswith(f"before\n{BEGIN}")
    assert once.endswith(f"{END}after\n")
    assert "- kernel: 6\n" in once
    assert "old" not in once
    assert with_results(once, {"kernel": "6"}, [Figure("a", "b", 1, "s")]) == once


def test_a_document_without_its_marks_is_not_written_over() -> None:
    with pytest.raises(ValueError, match="marks"):
        with_results("no marks here", {}, [])
