"""What is not counted but looked up, at each scrape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    from daemon.operations.labels import TenantLabels


@dataclass(frozen=True)
class Sources:
    """Where to look. `waiting`, `oldest_age` (seconds) and `in_flight` are by tenant, those with nothing left out;
    `database` is in bytes, by file; `free_bytes` None if nobody knows: these two ask the disk, from any thread."""

    waiting: Callable[[], Mapping[str, int]]
    oldest_age: Callable[[], Mapping[str, float]]
    in_flight: Callable[[], Mapping[str, int]]
    log_dropped: Callable[[], int]
    recoveries: Callable[[], int]
    ready: Callable[[], bool]
    database: Callable[[], Mapping[str, int]]
    free_bytes: Callable[[], int | None]
    least_free_bytes: int


class Gauges(Collector):
    def __init__(self, prefix: str, sources: Sources, labels: TenantLabels) -> None:
        self._prefix = prefix
        self._sources = sources
        self._labels = labels
        self.look()

    def look(self) -> None:
        """What only the event loop may read: for `collect`, which may be called in another thread."""
        look = self._sources
        self._waiting, self._oldest, self._in_flight = look.waiting(), look.oldest_age(), look.in_flight()
        self._recoveries, self._ready = look.recoveries(), look.ready()

    def collect(self) -> Iterator[Metric]:
        p, look = self._prefix, self._sources
        yield self._by_tenant("deliveries_waiting", "Pending deliveries of active tenants.", self._waiting, sum)
        yield self._by_tenant(
            "oldest_waiting_age_seconds", "Age of the oldest of those; 0 when none waits.", self._oldest, _highest
        )
        yield self._by_tenant("deliveries_in_flight", "Attempts running now.", self._in_flight, sum)
        yield GaugeMetricFamily(p + "recoveries_running", "Recoveries that are not over.", self._recoveries)
        yield CounterMetricFamily(
            p + "log_lines_dropped", "Log lines lost to a stalled or failing sink.", look.log_dropped()
        )
        yield GaugeMetricFamily(p + "ready", "1 if events can be accepted, else 0: /readyz says why.", self._ready)
        database = GaugeMetricFamily(
            p + "database_size_bytes", "Size of the database, and of its write-ahead log.", labels=("file",)
        )
        for file, size in look.database().items():
            database.add_metric((file,), size)
        yield database
        free = look.free_bytes()
        if free is not None:
            yield GaugeMetricFamily(p + "disk_free_bytes", "Free space on the disk of the database.", free)
        yield GaugeMetricFamily(
            p + "disk_least_free_bytes", "storage.min_free_bytes: below it nothing is accepted.", look.least_free_bytes
        )

    def _by_tenant(
        self, name: str, says: str, values: Mapping[str, float], together: Callable[[Iterable[float]], float]
    ) -> GaugeMetricFamily:
        family = GaugeMetricFamily(self._prefix + name, says, labels=self._labels.names)
        for tenant, value in self._labels.grouped(values, together).items():
            family.add_metric(self._labels.values(tenant), value)
        return family


def _highest(values: Iterable[float]) -> float:
    return max(values, default=0.0)
