"""CONTRACT §4: work that a fault of ours kept from beginning pauses 0.1 s, doubling to 5 s."""

from __future__ import annotations

import pytest

from daemon.delivery.backoff import Backoff


def test_pauses_double_up_to_five_seconds() -> None:
    backoff, now, pauses = Backoff(), 100.0, []
    for _ in range(8):
        backoff.fault(now)
        pauses.append(backoff.until - now)
        now = backoff.until
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5])


def test_faults_of_one_moment_count_once() -> None:
    backoff = Backoff()
    for delay in range(16):
        backoff.fault(100 + delay / 1000)
    assert backoff.until == pytest.approx(100.1)


def test_going_on_for_as_long_as_the_last_pause_starts_over() -> None:
    backoff = Backoff()
    backoff.fault(100.0)
    backoff.fault(100.1)
    assert backoff.until == pytest.approx(100.3)
    backoff.fault(100.51)
    assert backoff.until == pytest.approx(100.61)
