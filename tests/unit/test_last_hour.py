"""What is remembered of the last hour: all that ended in it, nothing older, and the webhooks that fail the most."""

from __future__ import annotations

import time
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from daemon.operations.last_hour import MINUTES, TRACKED, LastHour


class Clocked:
    """An hour whose clock stands until a minute is let pass."""

    def __init__(self) -> None:
        self.now = 1_000_000
        self.totals: Counter[tuple[str, str]] = Counter()
        self.hour = LastHour(lambda: Counter(self.totals), lambda: self.now)

    def end(self, outcome: str, error: str = "", number: int = 1) -> None:
        self.totals[outcome, error] += number

    def pass_minutes(self, number: int) -> None:
        for _ in range(number):
            self.now += 60_000
            self.hour.turn()


def test_what_ended_is_counted_by_outcome_and_error_until_it_is_an_hour_old() -> None:
    clocked = Clocked()
    clocked.end("succeeded", number=3)
    clocked.pass_minutes(1)
    clocked.end("failed", "http_status")
    assert clocked.hour.ended() == {("succeeded", ""): 3, ("failed", "http_status"): 1}
    clocked.pass_minutes(MINUTES - 2)
    assert clocked.hour.ended() == {("succeeded", ""): 3, ("failed", "http_status"): 1}
    clocked.pass_minutes(1)
    assert clocked.hour.ended() == {("failed", "http_status"): 1}
    clocked.pass_minutes(1)
    assert clocked.hour.ended() == {}


def test_it_says_how_much_of_the_hour_is_known() -> None:
    clocked = Clocked()
    started = clocked.now
    clocked.now += 30_000
    assert (clocked.hour.whole, clocked.hour.since) == (False, started)
    clocked.pass_minutes(MINUTES - 1)
    assert clocked.hour.whole
    clocked.pass_minutes(100)
    assert clocked.now - clocked.hour.since == 60_000 * (MINUTES - 1)


def test_failures_of_a_webhook_add_up_over_the_minutes_and_are_forgotten_with_them() -> None:
    clocked = Clocked()
    for minute in range(MINUTES):
        clocked.hour.failed("w1", "acme", "http_status" if minute else "dns_failed")
        clocked.pass_minutes(1)
    (worst,) = clocked.hour.worst(10)
    assert (worst.webhook, worst.tenant, worst.failed, worst.margin) == ("w1", "acme", MINUTES - 1, 0)
    assert worst.error == "http_status"
    clocked.pass_minutes(MINUTES)
    assert clocked.hour.worst(10) == []


def test_the_worst_come_first_and_only_so_many() -> None:
    clocked = Clocked()
    for number in range(1, 21):
        for _ in range(number):
            clocked.hour.failed(f"w{number}", "acme", "http_status")
    assert [failing.failed for failing in clocked.hour.worst(10)] == list(range(20, 10, -1))


def test_a_full_hour_of_ever_other_webhooks_holds_up_the_event_loop_for_less_than_it_takes_to_notice() -> None:
    clocked = Clocked()
    for minute in range(MINUTES):
        if minute:
            clocked.pass_minutes(1)
        for number in range(TRACKED):
            for _ in range(1 + number % 7):
                clocked.hour.failed(f"w{minute}-{number}", "acme", "http_status")
    took: list[float] = []
    for _ in range(30):
        began = time.thread_time()
        assert [failing.failed for failing in clocked.hour.worst(10)] == [7] * 10
        took.append(time.thread_time() - began)
    # A third of that where it was measured; adding up all the hour's records takes 6 ms there.
    assert min(took) < 0.003


@given(st.lists(st.lists(st.integers(0, 30), max_size=40), max_size=MINUTES + 20), st.integers(1, 40))
def test_the_worst_are_those_that_failed_the_most_in_the_minutes_that_are_remembered(
    minutes: list[list[int]], number: int
) -> None:
    clocked = Clocked()
    for index, webhooks in enumerate(minutes):
        if index:
            clocked.pass_minutes(1)
        for webhook in webhooks:
            clocked.hour.failed(f"w{webhook}", "acme", "dns_failed" if index % 2 else "http_status")
    remembered = [f"w{webhook}" for webhooks in minutes[-MINUTES:] for webhook in webhooks]
    expected = sorted(Counter(remembered).values(), reverse=True)[:number]
    worst = clocked.hour.worst(number)
    assert [failing.failed for failing in worst] == expected
    assert all(failing.failed == remembered.count(failing.webhook) for failing in worst)
    for failing in worst:
        last = max(index for index, webhooks in enumerate(minutes) if int(failing.webhook[1:]) in webhooks)
        assert failing.error == ("dns_failed" if last % 2 else "http_status")


@given(st.lists(st.tuples(st.integers(0, 3 * TRACKED), st.integers(1, 5)), max_size=600), st.integers(0, 5))
def test_however_many_webhooks_fail_the_worst_is_found_in_bounded_memory(
    failures: list[tuple[int, int]], minutes: int
) -> None:
    clocked = Clocked()
    true: Counter[str] = Counter()
    for index, (webhook, number) in enumerate(failures):
        for _ in range(number):
            clocked.hour.failed(f"w{webhook}", "acme", "http_status")
        true[f"w{webhook}"] += number
        if minutes and index % 200 == 199:
            clocked.pass_minutes(1)
    found = {failing.webhook: failing for failing in clocked.hour.worst(10_000)}
    for minute in clocked.hour._minutes:
        assert len(minute.failing) <= TRACKED
    for webhook, number in true.items():
        failing = found.get(webhook)
        margin = sum(minute.lost for minute in clocked.hour._minutes)
        assert number - margin <= (failing.failed if failing else 0) <= number
        assert failing is None or failing.margin == margin
    assert sum(minute.lost for minute in clocked.hour._minutes) <= true.total() / (TRACKED + 1)


def test_many_webhooks_that_fail_once_do_not_hide_one_that_fails_often() -> None:
    clocked = Clocked()
    for number in range(20 * TRACKED):
        clocked.hour.failed(f"w{number}", "hostile", "dns_failed")
        if number % 10 == 0:
            clocked.hour.failed("wTarget", "acme", "http_status")
    worst = clocked.hour.worst(1)[0]
    assert worst.webhook == "wTarget"
    assert worst.failed <= 2 * TRACKED <= worst.failed + worst.margin
