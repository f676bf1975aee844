"""What neighbours that hang, or flood, do to the p99 of a healthy webhook."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio
from harness.foreign import process_with_port
from msgspec import Struct

from tests.bench import children, hanging_receiver, latency, load_client, messages
from tests.bench.daemon_process import daemon
from tests.bench.figures import Figure, Target
from tests.bench.filling import filling
from tests.bench.percentiles import p99
from tests.bench.processes import CORES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.bench.bench import Bench
    from tests.bench.completeness import Tally
    from tests.bench.daemon_process import Daemon

_RATE = 100.0
_EVENTS = 1000
# What hangs ends in bursts, every 15 s (delivery.timeout), which are to be seen: two of them where others hang, one
# where the tenant's own do.
_EVENTS_BESIDE_HANGING = 3600
_EVENTS_BESIDE_OWN = 1600
# From when many begin to hang at once until the first of their attempts end.
_EVENTS_AT_FIRST = 1500
_HANGING = 40
_ENDPOINTS = 64
_BACKLOG = 100_000
# More than can be delivered while it is watched.
_DRAINING = 300_000
_SETTLING = 1.0
# delivery.timeout and a little more.
_TIMEOUT = 17.0
_WIDEST = 10
_FLOODING = 4
_COMPLETE_WITHIN = 90.0
_NEIGHBOURS = (1, 8, _HANGING)
# The flood is to go on for as long as it is watched.
_NO_LIMIT = {"limits": {"waiting_per_tenant": 100_000_000}}
_FAIR = Target("at most", 1.3, of="ratio")


class _Pair(Struct, frozen=True):
    """How long the events of tenant B took, and those of the second webhook that was watched with it: ms."""

    b: list[float]
    other: list[float]

    def __add__(self, later: _Pair) -> _Pair:
        return _Pair(self.b + later.b, self.other + later.other)

    def __str__(self) -> str:
        return f"B {p99(self.b):.3g}, the other {p99(self.other):.3g} ms"


class _Flood:
    """The other tenant's batches, once it has ended: those accepted a second, and those refused in all."""

    rate = 0.0
    refused = 0


async def measure(bench: Bench) -> list[Figure]:
    backlog = bench.amount(_BACKLOG)
    database = bench.database()
    async with (
        latency.receiver(bench.folder) as receiver,
        process_with_port(sys.executable, hanging_receiver.__file__) as (_, port),
    ):
        bench.doing(f"isolation: a file with {_HANGING} x {backlog:,} waiting deliveries")
        urls = receiver.url, f"http://127.0.0.1:{port}", bench.nginx.url
        await trio.to_thread.run_sync(_fill, database, *urls, backlog, bench.amount(_DRAINING))
        async with daemon(database, _NO_LIMIT) as running:
            watch = _Watch(bench, running, receiver, backlog)
            figures = await watch.figures()
            bench.complete("isolation", await watch.complete())
    database.unlink()
    return [*figures, *watch.trust()]


def _fill(database: Path, healthy: str, hanging: str, fast: str, backlog: int, draining: int) -> None:
    """`b` and `quiet` have one healthy webhook each. `busy` has `draining` deliveries for some that answer at once.
    `mixed` has three that hang beside a healthy one, `hanging-…` 64, each behind its backlog. These are inactive, so
    that nothing happens yet."""
    with filling(database) as fill:
        for name in ("b", "quiet"):
            fill.webhook(fill.tenant(name), f"{healthy}/{name}")
        busy = fill.tenant("busy", active=False)
        first = fill.events(busy, draining // _WIDEST)
        for number in range(_WIDEST):
            webhook = fill.webhook(busy, f"{fast}/busy-{number}", subscribed=False)
            fill.waiting(busy, webhook, first, draining // _WIDEST)
        shapes = {"mixed": 3, **{f"hanging-{number}": _ENDPOINTS for number in range(_HANGING)}}
        for name, endpoints in shapes.items():
            tenant = fill.tenant(name, active=False)
            each = backlog // endpoints
            first = fill.events(tenant, each)
            for _ in range(endpoints):
                fill.waiting(tenant, fill.webhook(tenant, f"{hanging}/", subscribed=False), first, each)
            if name in ("mixed", "hanging-0"):
                fill.webhook(tenant, f"{healthy}/{name}")


class _Watch:
    """`refused` and `late` (ms) are those of the watching client, over all it published."""

    def __init__(self, bench: Bench, running: Daemon, receiver: latency.Receiver, backlog: int) -> None:
        self._bench = bench
        self._running = running
        self._receiver = receiver
        self._backlog = backlog
        self._operator = running.caller(running.operator_token)
        self._refused = 0
        self._why = ""
        self._late: list[float] = []

    async def figures(self) -> list[Figure]:
        await self._pair("nobody beside them, to warm up", "quiet", _EVENTS // 4)
        before = await self._pair("nobody beside them", "quiet")
        draining = await self._beside_a_backlog()
        flooded = [await self._beside_a_flood(name, padded) for name, padded in (("flood", False), ("heavy", True))]
        await self._activate("mixed")
        mixed = await self._pair("3 hanging webhooks beside it", "mixed", _EVENTS_BESIDE_OWN)
        await self._activate("mixed", active=False)
        beside: dict[int, _Pair] = {}
        first = _Pair([], [])
        for neighbours in _NEIGHBOURS:
            for number in range(max(beside, default=0), neighbours):
                await self._activate(f"hanging-{number}")
            what = f"{neighbours} hanging tenants"
            if neighbours == _HANGING:
                first = await self._pair(f"{what}, their first 15 s", "hanging-0", _EVENTS_AT_FIRST)
            beside[neighbours] = await self._pair(what, "hanging-0", _EVENTS_BESIDE_HANGING)
        for number in range(_HANGING):
            await self._activate(f"hanging-{number}", active=False)
        self._bench.doing("isolation: until the attempts under way have ended")
        await trio.sleep(_TIMEOUT)
        after = await self._pair("nobody beside them, again", "quiet")
        quiet = before + after
        alone = f"before the others: {before}; after them: {after}"
        figures = [Figure("isolation", "p99 of B, nobody beside it", p99(quiet.b), "ms", note=alone)]
        busy = "another tenant's deliveries, as fast as they go: the daemon has no time to spare"
        figures.append(
            Figure("isolation", "p99 of B, a backlog drains beside it", p99(draining.b), "ms", p99(quiet.b), note=busy)
        )
        figures += [_figure(name, pair.b, quiet.b, how) for name, pair, how in flooded]
        waiting = f"{self._backlog:,} wait"
        figures.append(_figure("same tenant, 3 webhooks hang", mixed.other, quiet.other, waiting))
        for neighbours, seen in beside.items():
            how = f"{neighbours} x {_ENDPOINTS} endpoints, {waiting} for each tenant"
            figures += [
                _figure(f"B, {neighbours} tenants hang", seen.b, quiet.b, how),
                _figure(f"same tenant, {neighbours} tenants hang", seen.other, quiet.other, how),
            ]
        begun = f"the first 15 s after {_HANGING - _NEIGHBOURS[-2]} more have begun to, all at once"
        figures += [
            Figure("isolation", "p99 of B, tenants begin to hang", p99(first.b), "ms", p99(quiet.b), note=begun),
            Figure(
                "isolation",
                "p99 of same tenant, tenants begin to",
                p99(first.other),
                "ms",
                p99(quiet.other),
                note=begun,
            ),
        ]
        return figures

    async def complete(self) -> Tally:
        """What was published for tenants that hang has arrived by now, or may wait for them to be active again."""
        self._bench.doing("isolation: until everything has arrived")
        for tenant in ("mixed", "hanging-0"):
            await self._activate(tenant)
        return await self._receiver.complete(_COMPLETE_WITHIN)

    def trust(self) -> list[Figure]:
        """What tells whether the other figures can be believed."""
        late = f"over all windows; at most {max(self._late):.3g} ms"
        return [
            Figure("isolation", "refused to who is watched", self._refused, "", None, Target("at most", 0), self._why),
            Figure("isolation", "client late, p99", p99(self._late), "ms", note=late),
        ]

    async def _activate(self, tenant: str, *, active: bool = True) -> None:
        await self._operator.ask("PATCH", f"/v1/tenants/{tenant}", {"active": active})

    async def _pair(self, what: str, other: str, events: int = _EVENTS) -> _Pair:
        """Publish for B and for the other tenant at once."""
        self._bench.doing(f"isolation: {what}")
        await trio.sleep(_SETTLING)
        took: dict[str, list[float]] = {}

        async def watch(tenant: str) -> None:
            token = await self._running.token(tenant, create=False)
            count = self._bench.amount(events)
            seen = await latency.measure(self._running, self._receiver, token, f"/{tenant}", _RATE, count)
            took[tenant] = seen.milliseconds
            self._late += seen.late
            self._refused += seen.refused
            self._why = self._why or seen.why

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch, "b")
            nursery.start_soon(watch, other)
        return _Pair(took["b"], took[other])

    async def _beside_a_backlog(self) -> _Pair:
        await self._activate("busy")
        pair = await self._pair("a backlog that drains beside them", "quiet")
        await self._activate("busy", active=False)
        return pair

    async def _beside_a_flood(self, tenant: str, padded: bool) -> tuple[str, _Pair, str]:
        """The figure's name, what was measured, how."""
        token = await self._running.token(tenant)
        for number in range(_WIDEST):
            await self._running.caller(token).register(f"{self._bench.nginx.url}/{tenant}-{number}")
        request = messages.largest(token) if padded else messages.publishing(token, messages.MOST)
        kind = f"batches of {len(request.body) / 2**20:.1f} MiB" if padded else "largest batches"
        async with self._flood(request) as flood:
            pair = await self._pair(f"{kind} beside them", "quiet")
        await self._activate(tenant, active=False)
        how = (
            f"{messages.MOST:,} events x {_WIDEST} webhooks in a loop over {_FLOODING} connections: "
            f"{flood.rate:.1f} batches/s, {flood.refused} refused"
        )
        return f"B, {kind} beside it", pair, how

    @asynccontextmanager
    async def _flood(self, request: load_client.Sent) -> AsyncIterator[_Flood]:
        """Another tenant publishes the largest allowed batches, one after another, to webhooks that answer."""
        seconds = self._bench.amount(_EVENTS) / _RATE + _SETTLING
        host, port = self._running.host, self._running.port
        job = load_client.Job(host, port, [request], 1_000_000, _FLOODING, seconds=seconds, keep_bodies=False)
        flood = _Flood()

        async def load() -> None:
            report = await children.attempt(job, CORES)
            flood.refused = sum(not answer.good for answer in report.answers)
            flood.rate = (len(report.answers) - flood.refused) / report.seconds

        async with trio.open_nursery() as nursery:
            nursery.start_soon(load)
            yield flood


def _figure(name: str, took: list[float], quiet: list[float], how: str) -> Figure:
    return Figure("isolation", f"p99 of {name}", p99(took), "ms", p99(quiet), _FAIR, how)
