"""What Prometheus may ask, in a registry of its own. Each child of a metric is made once: looking one up costs more
than counting. All calls are cheap and may come from any thread."""

from __future__ import annotations

import platform
import time
from typing import TYPE_CHECKING, Final

import prometheus_client
import trio
from prometheus_client import CollectorRegistry, Counter, Histogram, Info, ProcessCollector, generate_latest

from daemon import __version__
from daemon.operations.attempts import Attempts
from daemon.operations.gauges import Gauges, Sources
from daemon.operations.labels import OTHERS, TenantLabels
from daemon.operations.last_hour import LastHour

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.model import Endpoint, Outcome

MALFORMED: Final = "malformed"
"""Stands for the route of a request that was refused before its route was known, in logs and metrics."""

CONTENT_TYPE: Final = prometheus_client.CONTENT_TYPE_PLAIN_0_0_4

_PREFIX = "tenant_webhooks_"
_REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
_COMMIT_ROWS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """Names begin `tenant_webhooks_`, but for those that every exporter has of its process (`process_`); counters end
    in `_total`, durations are in seconds. The tenants named by `tenant_labels` have series of their own.

    `last_hour`: what the same calls say of it. `sources`: what `observe` was given. `started` and `started_at`: when
    this was made, by time.monotonic and by the wall's clock."""

    def __init__(self, tenant_labels: Sequence[str] = ()) -> None:
        prometheus_client.disable_created_metrics()
        self.started = time.monotonic()
        self.sources: Sources | None = None
        self._registry = registry = CollectorRegistry(auto_describe=True)
        self._labels = TenantLabels(tenant_labels)
        p = _PREFIX
        self._events = Counter(p + "events_accepted", "Events that were answered with 202.", registry=registry)
        self._attempts = Attempts(p, self._labels)
        registry.register(self._attempts)
        self.last_hour = LastHour(self._attempts.totals)
        self.started_at = self.last_hour.since
        self._postponed = Counter(
            p + "deliveries_postponed",
            "Deliveries put back to pending because of this machine (descriptors, memory, ports), not of the receiver.",
            registry=registry,
        )
        self._deleted_events = Counter(
            p + "events_deleted", "Events deleted by retention (storage.retention_days, max_bytes).", registry=registry
        )
        self._deleted_deliveries = Counter(
            p + "deliveries_deleted", "Deliveries deleted with their events.", registry=registry
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
        self._look: Callable[[], None] = lambda: None
        self._described: list[tuple[str, str, str]] | None = None
        self._scrapes = trio.CapacityLimiter(1)
        self._answered: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        build = Info(p + "build", "What is running.", registry=registry)
        build.info({"version": __version__, "python": platform.python_version()})
        ProcessCollector(registry=registry)

    def events_accepted(self, count: int) -> None:
        self._events.inc(count)

    def attempt(self, endpoint: Endpoint, outcome: Outcome) -> None:
        """Count an outcome that is on disk: `succeeded` or `failed`."""
        total, error = outcome.timings.total, outcome.error
        seconds = (outcome.finished - outcome.started if total is None else total) / 1000
        self._attempts.ended(endpoint.tenant, outcome.status, error, seconds)
        if error is not None:
            self.last_hour.failed(endpoint.id, endpoint.tenant, error)

    def interrupted(self, count: int, tenant: str = OTHERS) -> None:
        """Deliveries found `sending` at start, or cut off by a stop: they have no duration worth measuring."""
        self._attempts.ended_untimed(tenant, "interrupted", count)

    def cancelled(self, count: int, tenant: str) -> None:
        self._attempts.ended_untimed(tenant, "cancelled", count)

    def postponed(self, count: int) -> None:
        self._postponed.inc(count)

    def deleted(self, events: int, deliveries: int) -> None:
        self._deleted_events.inc(events)
        self._deleted_deliveries.inc(deliveries)

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

    def observe(self, sources: Sources) -> None:
        """Look these up now and at each scrape. Raises ValueError the second time."""
        gauges = Gauges(_PREFIX, sources, self._labels)
        self._registry.register(gauges)
        self._look = gauges.look
        self.sources = sources

    async def described(self) -> list[tuple[str, str, str]]:
        """Name, type and meaning of each metric: read once, they stay the same."""
        if self._described is None:
            lines = (await self.scrape()).decode().splitlines()
            types = dict(line.split(" ", 3)[2:] for line in lines if line.startswith("# TYPE "))
            helps = (line.split(" ", 3)[2:] for line in lines if line.startswith("# HELP "))
            self._described = [(name, types[name], meaning) for name, meaning in helps]
        return self._described

    async def scrape(self) -> bytes:
        """All of it in the text format 0.0.4 (`CONTENT_TYPE`), written in a thread: with labels for many tenants, or
        many descriptors, that takes tens of milliseconds."""
        self._look()
        return await trio.to_thread.run_sync(generate_latest, self._registry, limiter=self._scrapes)
