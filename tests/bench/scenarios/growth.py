"""Whether a delivery, a list and a look-up cost the same however many rows the file already holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from msgspec import Struct

from tests.bench import children, load_client
from tests.bench.bench import ONE_CORE, OTHER_CORES
from tests.bench.daemon_process import daemon
from tests.bench.delivering import Plan, flood
from tests.bench.figures import Figure, Target
from tests.bench.filling import filling
from tests.bench.percentiles import median, p99

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench.bench import Bench

_SIZES = (10_000, 1_000_000)
_LARGEST = 10_000_000
_EVENTS = 20_000
_READS = 400
_ROUNDS = 3
_AGO = "2020-01-01T00:00:00Z"
_FLAT = Target("at most", 1.3, of="ratio")


class _Measured(Struct, frozen=True):
    """µs of CPU for a delivery; p99 in ms of each read, the median of its rounds."""

    cost: float
    reads: dict[str, float]


async def measure(bench: Bench) -> list[Figure]:
    sizes = [bench.amount(size) for size in (*_SIZES, *([_LARGEST] if bench.full else []))]
    base = await _at(bench, sizes[0])
    figures: list[Figure] = []
    for size in sizes[1:]:
        seen = await _at(bench, size)
        how = f"with {size:,} rows, beside it with {sizes[0]:,}"
        figures.append(Figure("growth", f"delivery, {size:,} rows", seen.cost, "µs", base.cost, _FLAT, how))
        figures += [
            Figure("growth", f"p99 of {name}, {size:,} rows", took, "ms", base.reads[name], _FLAT, how)
            for name, took in seen.reads.items()
        ]
    return figures


async def _at(bench: Bench, rows: int) -> _Measured:
    bench.doing(f"growth: a file with {rows:,} rows")
    database, url = bench.database(), f"{bench.nginx.url}/0"
    webhook, delivery = await trio.to_thread.run_sync(_fill, database, url, rows)
    changes = {"delivery": {"max_concurrent_per_webhook": 64}}
    async with daemon(database, changes, cores=ONE_CORE) as running:
        token = await running.token("acme", create=False)
        bench.doing(f"growth: reads with {rows:,} rows")
        targets = {
            "list": "/v1/deliveries",
            "list of a webhook": f"/v1/webhooks/{webhook}/deliveries",
            "list of failed": "/v1/deliveries?status=failed",
            "list of interrupted (none)": "/v1/deliveries?status=interrupted",
            "search that finds nothing": "/v1/deliveries?eventType=none.such",
            "list of a minute long ago": f"/v1/deliveries?since={_AGO}&until={_AGO}",
            "list of events": "/v1/events",
            "search of events that finds nothing": "/v1/events?error=dns_failed",
            "statistics": f"/v1/webhooks/{webhook}/stats",
            "get": f"/v1/deliveries/{delivery}",
        }
        rounds: dict[str, list[float]] = {name: [] for name in targets}
        for _ in range(_ROUNDS):
            for name, target in targets.items():
                request = load_client.Sent("GET", target, token)
                job = load_client.Job(running.host, running.port, [request], _READS, seconds=10, keep_bodies=False)
                report = await children.load(job, OTHER_CORES)
                rounds[name].append(p99([answer.milliseconds for answer in report.answers]))
        bench.doing(f"growth: deliveries with {rows:,} rows")
        run = await flood(bench, running, [token], Plan(bench.amount(_EVENTS), per_webhook=64))
    bench.complete("growth", run.tally)
    database.unlink()
    return _Measured(run.cpu_each, {name: median(each) for name, each in rounds.items()})


def _fill(database: Path, url: str, rows: int) -> tuple[str, str]:
    """The id of the webhook, and of a delivery in the middle."""
    with filling(database) as fill:
        tenant = fill.tenant("acme")
        webhook = fill.webhook(tenant, url)
        fill.history(tenant, webhook, fill.events(tenant, rows), rows, url)
        return fill.id_of("webhooks", webhook), fill.id_of("deliveries", rows // 2)
