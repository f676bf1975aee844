"""One event a request, each on disk before its 202, from 32 keep-alive connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench import children, load_client, messages
from tests.bench.completeness import tally
from tests.bench.daemon_process import daemon
from tests.bench.figures import Figure, Target
from tests.bench.percentiles import p99
from tests.bench.processes import CORES

if TYPE_CHECKING:
    from tests.bench.bench import Bench

_REQUESTS = 8_000
_CONNECTIONS = 32
_RECORDED_WITHIN = 120.0
_WANTED = Target("at least", 1200, aim=2000)


async def measure(bench: Bench) -> list[Figure]:
    count = bench.amount(_REQUESTS)
    bench.doing("publishing: the receiver alone")
    alone = await _report(bench.nginx.port, load_client.Sent("POST", "/alone", body="x" * 600), count)
    figures: list[Figure] = []
    for webhooks, name in enumerate(("no webhook", "1 webhook")):
        bench.doing(f"publishing: one by one, {name}")
        bench.nginx.arrivals.mark()
        async with daemon(bench.database()) as running:
            token = await running.token("acme")
            for _ in range(webhooks):
                await running.caller(token).register(f"{bench.nginx.url}/hook")
            cpu = running.cpu_seconds()
            report = await _report(running.port, messages.publishing(token), count)
            await running.recorded(_RECORDED_WITHIN)
            cpu = (running.cpu_seconds() - cpu) / count
        if webhooks:
            promised = (("/hook", *messages.published_ids(answer.body)) for answer in report.answers)
            arrived = ((path, event) for _, path, event in await bench.nginx.arrivals.since_mark())
            bench.complete("publishing", tally(promised, arrived))
        how = f"{cpu * 1e6:.0f} µs CPU each; publisher {report.cpu / report.seconds:.0%} of a core"
        target = None if webhooks else _WANTED
        rate, nothing = count / report.seconds, count / alone.seconds
        figures.append(Figure("publishing", f"{name}, rate", rate, "/s", nothing, target, how))
        figures.append(Figure("publishing", f"{name}, p99", _p99(report), "ms", _p99(alone), note="request → 202"))
    return figures


async def _report(port: int, request: load_client.Sent, count: int) -> load_client.Report:
    job = load_client.Job("127.0.0.1", port, [request], count, _CONNECTIONS)
    return await children.load(job, CORES)


def _p99(report: load_client.Report) -> float:
    return p99([answer.milliseconds for answer in report.answers])
