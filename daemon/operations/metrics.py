"""What Prometheus may ask, in a registry of its own. Each child of a metric is made once: looking one up costs more
than counting. All calls are cheap and may come from any thread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from daemon.operations.attempts import Attempts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.metrics_core import Metric

    from daemon.model import Outcome

MALFORMED: Final = "malformed"
"""Stands for the route of a request that was refused before its route was known, in logs and metrics."""

CONTENT_TYPE: Final = prometheus_client.CONTENT_TYPE_PLAIN_0_0_4

_REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
_COMMIT_ROWS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """Names begin `tenant_webhooks_`; counters end in `_total`, durations are in seconds."""

    def __init__(self) -> None:
        prometheus_client.disable_created_metrics()
        self._registry = registry = CollectorRegistry(auto_describe=True)
        p = "tenant_webhooks_"
        self._events = Counter(p + "events_accepted", "Events that were answered with 202.", registry=registry)
        self._attempts = Attempts(p)
        registry.register(self._attempts)
        self._postponed = Counter(
            p + "deliveries_postponed",
            "Deliveries put back to pending because of this machine (descriptors, memory, ports), not of the receiver.",
            registry=registry,
        )
        self._rows = Histogram(
            p + "commit_rows", "Rows written by one group commit.", buckets=_COMMIT_ROWS, registry=registry
        )
        self._commit_seconds = Histogram(
            p + "commit_duration_seconds",
            "One group commit, with its fsync.",
            buckets=_COMMIT_SECONDS,
            registry=registry,
        )
        self._requests = Counter(
            p + "http_requests", "HTTP requests answered.", ("route", "method", "status"), registry=registry
        )
        self._request_seconds = Histogram(
            p + "http_request_duration_seconds",
            "From the head of an HTTP request to the end of its answer.",
            ("route", "method"),
            buckets=_REQUEST_SECONDS,
            registry=registry,
        )
        self._blocked = Counter(
            p + "loop_blocked_seconds",
            "Seconds in which the event loop did not turn, of stalls over 0.1 s.",
            registry=registry,
        )
        self._answered: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def events_accepted(self, count: int) -> None:
        self._events.inc(count)

    def attempt(self, outcome: Outcome) -> None:
        """Count an outcome that is on disk. One that is `interrupted` has no duration worth measuring."""
        self._attempts.count(outcome.status, outcome.error)
        if outcome.status != "interrupted":
            total = outcome.timings.total
            self._attempts.took(outcome.status, (outcome.finished - outcome.started if total is None else total) / 1000)

    def interrupted(self, count: int) -> None:
        """Deliveries found `sending` at start, or cut off by a stop, other than through `attempt`."""
        self._attempts.count("interrupted", None, count)

    def cancelled(self, count: int) -> None:
        self._attempts.count("cancelled", None, count)

    def postponed(self, count: int) -> None:
        self._postponed.inc(count)

    def commit(self, rows: int, seconds: float) -> None:
        self._rows.observe(rows)
        self._commit_seconds.observe(seconds)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """`route` is the template of the path, never the path: it bounds how many series there can be."""
        method = method if method in _METHODS else "other"
        children = self._answered.get((route, method, status))
        if children is None:
            children = self._requests.labels(route, method, str(status)), self._request_seconds.labels(route, method)
            self._answered[route, method, status] = children
        children[0].inc()
        children[1].observe(seconds)

    def refused(self, status: int, seconds: float) -> None:
        """Count a request that was refused before its route was known."""
        self.request(MALFORMED, "", status, seconds)

    def loop_blocked(self, seconds: float) -> None:
        self._blocked.inc(seconds)

    def observe(
        self,
        waiting: Callable[[], int],
        oldest_age: Callable[[], float],
        in_flight: Callable[[], int],
        log_dropped: Callable[[], int],
    ) -> None:
        """Read these now and at each scrape. `oldest_age` in seconds. Raises ValueError the second time."""
        self._registry.register(_Observed(waiting, oldest_age, in_flight, log_dropped))

    def render(self) -> bytes:
        """All of it in the text format 0.0.4 (`CONTENT_TYPE`)."""
        return generate_latest(self._registry)


class _Observed(Collector):
    def __init__(
        self,
        waiting: Callable[[], int],
        oldest_age: Callable[[], float],
        in_flight: Callable[[], int],
        log_dropped: Callable[[], int],
    ) -> None:
        self._waiting = waiting
        self._oldest_age = oldest_age
        self._in_flight = in_flight
        self._log_dropped = log_dropped

    def collect(self) -> Iterator[Metric]:
        p = "tenant_webhooks_"
        yield GaugeMetricFamily(p + "deliveries_waiting", "Pending deliveries of active tenants.", self._waiting())
        yield GaugeMetricFamily(
            p + "oldest_waiting_age_seconds", "Age of the oldest of those; 0 when none waits.", self._oldest_age()
        )
        yield GaugeMetricFamily(p + "deliveries_in_flight", "Attempts running now.", self._in_flight())
        yield CounterMetricFamily(
            p + "log_lines_dropped", "Log lines lost to a stalled or failing sink.", self._log_dropped()
        )
