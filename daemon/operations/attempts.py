"""Attempts by outcome and error, and how long they took: plain numbers until Prometheus asks. There is one for every
delivery, and a counter and a histogram of prometheus_client cost four times as much to move.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING, Final, get_args

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from daemon.model import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0)
_BOUNDS: Final = (*(str(float(bound)) for bound in _SECONDS), "+Inf")
_TIMED: Final[tuple[str, ...]] = ("succeeded", "failed")


class Attempts(Collector):
    """Every series is there from the start, at zero. To be moved from one thread."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._deliveries: dict[tuple[str, str], int] = {
            ("succeeded", ""): 0,
            **{("failed", code): 0 for code in get_args(ErrorCode)},
            ("interrupted", ""): 0,
            ("cancelled", ""): 0,
        }
        self._buckets = {outcome: [0] * len(_BOUNDS) for outcome in _TIMED}
        self._sums = dict.fromkeys(_TIMED, 0.0)

    def count(self, outcome: str, error: str | None, number: int = 1) -> None:
        self._deliveries[outcome, error or ""] += number

    def took(self, outcome: str, seconds: float) -> None:
        """For the outcomes `succeeded` and `failed`."""
        self._buckets[outcome][bisect_left(_SECONDS, seconds)] += 1
        self._sums[outcome] += seconds

    def collect(self) -> Iterator[Metric]:
        deliveries = CounterMetricFamily(
            self._prefix + "deliveries",
            "Deliveries that ended, by outcome and error (empty unless failed).",
            labels=("outcome", "error"),
        )
        for labels, number in self._deliveries.items():
            deliveries.add_metric(labels, number)
        yield deliveries
        seconds = HistogramMetricFamily(
            self._prefix + "attempt_duration_seconds",
            "One attempt, from resolving the name to the end of the response.",
            labels=("outcome",),
        )
        for outcome, buckets in self._buckets.items():
            seconds.add_metric((outcome,), list(zip(_BOUNDS, accumulate(buckets), strict=True)), self._sums[outcome])
        yield seconds
