"""Attempts by outcome and error, and how long they took: plain numbers until Prometheus asks. There is one for every
delivery, and a counter and a histogram of prometheus_client cost four times as much to move.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from itertools import accumulate
from typing import TYPE_CHECKING, Final, get_args

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from daemon.model import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from daemon.operations.labels import TenantLabels

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0)
_BOUNDS: Final = (*(str(float(bound)) for bound in _SECONDS), "+Inf")
_TIMED: Final[tuple[str, ...]] = ("succeeded", "failed")


class Attempts(Collector):
    """Every series is there from the start, at zero. To be moved from one thread."""

    def __init__(self, prefix: str, labels: TenantLabels) -> None:
        self._prefix = prefix
        self._labels = labels
        self._of = {tenant: _Numbers() for tenant in labels.tenants}
        self._others = _Numbers()

    def ended(self, tenant: str, outcome: str, error: str | None, seconds: float) -> None:
        """One that `succeeded` or `failed`, and how long it took."""
        numbers = self._of.get(tenant, self._others)
        numbers.ended[outcome, error or ""] += 1
        numbers.buckets[outcome][bisect_left(_SECONDS, seconds)] += 1
        numbers.sums[outcome] += seconds

    def ended_untimed(self, tenant: str, outcome: str, number: int) -> None:
        """So many that were `interrupted` or `cancelled`."""
        self._of.get(tenant, self._others).ended[outcome, ""] += number

    def totals(self) -> Counter[tuple[str, str]]:
        """How many of all tenants ended so, by outcome and error, since the start."""
        totals = Counter(self._others.ended)
        for numbers in self._of.values():
            totals.update(numbers.ended)
        return totals

    def collect(self) -> Iterator[Metric]:
        all_numbers = {**self._of, "": self._others}
        deliveries = CounterMetricFamily(
            self._prefix + "deliveries",
            "Deliveries that ended, by outcome and error (empty unless failed).",
            labels=("outcome", "error", *self._labels.names),
        )
        seconds = HistogramMetricFamily(
            self._prefix + "attempt_duration_seconds",
            "One attempt, from resolving the name to the end of the response.",
            labels=("outcome", *self._labels.names),
        )
        for tenant, numbers in all_numbers.items():
            label = self._labels.values(tenant)
            for outcome, number in numbers.ended.items():
                deliveries.add_metric((*outcome, *label), number)
            for outcome, buckets in numbers.buckets.items():
                cumulated = list(zip(_BOUNDS, accumulate(buckets), strict=True))
                seconds.add_metric((outcome, *label), cumulated, numbers.sums[outcome])
        yield deliveries
        yield seconds


class _Numbers:
    """`ended` by outcome and error; `buckets` and `sums` by outcome."""

    __slots__ = ("buckets", "ended", "sums")

    def __init__(self) -> None:
        self.ended: dict[tuple[str, str], int] = {
            ("succeeded", ""): 0,
            **{("failed", code): 0 for code in get_args(ErrorCode)},
            ("interrupted", ""): 0,
            ("cancelled", ""): 0,
        }
        self.buckets: dict[str, list[int]] = {outcome: [0] * len(_BOUNDS) for outcome in _TIMED}
        self.sums: dict[str, float] = dict.fromkeys(_TIMED, 0.0)
