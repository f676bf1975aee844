"""Completeness: what was promised is looked up, whatever else arrived."""

from __future__ import annotations

from tests.bench.completeness import Tally, broken, figures, tally

A, B, C = ("/0", "evt_a"), ("/0", "evt_b"), ("/1", "evt_a")


def test_each_promised_delivery_is_looked_up_and_each_repeat_counted() -> None:
    assert tally([A, B, C], [A, B, C]) == Tally(3, 0, 0)
    assert tally([A, B, C], [A, C]) == Tally(3, 1, 0)
    assert tally([A, B, C], [A, A, A, B, C]) == Tally(3, 0, 2)


def test_what_nobody_promised_is_neither_here_nor_there() -> None:
    assert tally([A], [A, B, B, ("/alone", ""), ("/alone", "")]) == Tally(1, 0, 0)


def test_one_missing_or_repeated_delivery_in_one_scenario_breaks_the_promise() -> None:
    whole = Tally(1_000_000, 0, 0)
    assert not broken(figures({"throughput": whole, "arrival": Tally(10, 0, 0)}))
    assert broken(figures({"throughput": whole, "arrival": Tally(10, 1, 0)}))
    assert broken(figures({"throughput": whole, "arrival": Tally(10, 0, 1)}))


def test_a_broken_promise_names_its_scenario() -> None:
    _, missing, twice = figures({"throughput": Tally(10, 0, 2), "arrival": Tally(10, 1, 0)})
    assert (missing.value, missing.note) == (1, "arrival 1")
    assert (twice.value, twice.note) == (2, "throughput 2")


def test_where_nothing_was_promised_nothing_is_judged() -> None:
    assert figures({}) == []
