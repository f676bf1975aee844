"""Resident memory, and how long a start takes: empty, with a million waiting, with ten thousand tenants."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import trio
from harness.foreign import process_with_port

from tests.bench import children, hanging_receiver, load_client, messages
from tests.bench.completeness import tally
from tests.bench.daemon_process import daemon
from tests.bench.delivering import Plan, flood
from tests.bench.figures import Figure, Target
from tests.bench.filling import filling
from tests.bench.percentiles import median
from tests.bench.processes import CORES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench.bench import Bench

_WAITING = 1_000_000
_TENANTS = 10_000
_DRAINED = 50_000
_SETTLED = 3.0
_STARTS = 3
_RECORDED_WITHIN = 120.0
_START = Target("at most", 1)
_START_WITH_BACKLOG = Target("at most", 3)


async def measure(bench: Bench) -> list[Figure]:
    return [*await _empty(bench), *await _backlog(bench), *await _tenants(bench)]


async def _empty(bench: Bench) -> list[Figure]:
    bench.doing("start: empty")
    starts: list[float] = []
    for _ in range(_STARTS - 1):
        async with daemon(bench.database()) as running:
            starts.append(running.start_seconds)
    bench.doing("memory: idle, and after draining")
    async with daemon(bench.database()) as running:
        await trio.sleep(_SETTLED)
        idle = running.megabytes()
        token = await running.token("acme")
        await running.caller(token).register(f"{bench.nginx.url}/0")
        run = await flood(bench, running, [token], Plan(bench.amount(_DRAINED), pinned=False))
        await trio.sleep(_SETTLED)
        drained, peak = running.megabytes(), running.peak_megabytes()
        starts.append(running.start_seconds)
    bench.complete("memory", run.tally)
    return [
        Figure(
            "start", "empty", median(starts), "s", target=_START, note=f"process start → ready, median of {_STARTS}"
        ),
        Figure("memory", "idle", idle, "MB", target=Target("at most", 80), note="RSS"),
        Figure(
            "memory",
            "after draining",
            drained,
            "MB",
            idle,
            Target("at most", 1.25, of="ratio"),
            note=f"{bench.amount(_DRAINED):,} deliveries, not a million: that many show it, in a tenth of the time",
        ),
        Figure("memory", "peak while draining", peak, "MB", idle, note="VmHWM; beside it idle"),
    ]


async def _backlog(bench: Bench) -> list[Figure]:
    waiting, database = bench.amount(_WAITING), bench.database()
    bench.doing(f"memory: {waiting:,} waiting")
    async with process_with_port(sys.executable, hanging_receiver.__file__) as (_, port):
        await trio.to_thread.run_sync(_fill_backlog, database, f"http://127.0.0.1:{port}/", waiting)
        async with daemon(database) as running:
            await trio.sleep(_SETTLED)
            megabytes, peak, start = running.megabytes(), running.peak_megabytes(), running.start_seconds
    how = f"{waiting:,} deliveries wait for a webhook that hangs"
    return [
        Figure("start", "with a backlog", start, "s", target=_START_WITH_BACKLOG, note=how),
        Figure("memory", "with a backlog", megabytes, "MB", target=Target("at most", 160), note=how),
        Figure("memory", "peak with a backlog", peak, "MB", note="VmHWM, from its start on"),
    ]


def _fill_backlog(database: Path, url: str, waiting: int) -> None:
    with filling(database) as fill:
        tenant = fill.tenant("acme")
        fill.waiting(tenant, fill.webhook(tenant, url), fill.events(tenant, waiting), waiting)


async def _tenants(bench: Bench) -> list[Figure]:
    tenants, database = bench.amount(_TENANTS), bench.database()
    bench.doing(f"memory: {tenants:,} tenants")
    await trio.to_thread.run_sync(_fill_tenants, database, f"{bench.nginx.url}/tenant", tenants)
    async with daemon(database) as running:
        await trio.sleep(_SETTLED)
        idle = running.megabytes()
        token = running.operator_token
        requests = [
            messages.publishing_for(_names(first, tenants), token) for first in range(0, tenants, messages.MOST)
        ]
        job = load_client.Job(running.host, running.port, requests, len(requests))
        bench.nginx.arrivals.mark()
        report = await children.load(job, CORES)
        await running.recorded(_RECORDED_WITHIN)
        used, peak = running.megabytes(), running.peak_megabytes()
    promised = (("/tenant", event) for answer in report.answers for event in messages.published_ids(answer.body))
    arrived = ((path, event) for _, path, event in await bench.nginx.arrivals.since_mark())
    bench.complete("memory", tally(promised, arrived))
    target = Target("at most", 200)
    return [
        Figure("memory", f"{tenants:,} tenants, idle", idle, "MB", target=target, note="one webhook each"),
        Figure("memory", f"{tenants:,} tenants, used", used, "MB", target=target, note="one event delivered to each"),
        Figure("memory", f"{tenants:,} tenants, peak", peak, "MB", note="VmHWM, all the while"),
    ]


def _names(first: int, tenants: int) -> list[str]:
    return [f"tenant-{number}" for number in range(first, min(tenants, first + messages.MOST))]


def _fill_tenants(database: Path, url: str, tenants: int) -> None:
    with filling(database) as fill:
        for number in range(tenants):
            fill.webhook(fill.tenant(f"tenant-{number}"), url)
