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
    from tests.bench.daemon_process import Daemon

_RATE = 100.0
_EVENTS = 1200
_HANGING = 40
_ENDPOINTS = 64
_BACKLOG = 100_000
_SETTLING = 2.0
_WIDEST = 10
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


async def measure(bench: Bench) -> list[Figure]:
    backlog = bench.amount(_BACKLOG)
    database = bench.database()
    async with (
        latency.receiver(bench.folder) as receiver,
        process_with_port(sys.executable, hanging_receiver.__file__) as (_, port),
    ):
        bench.doing(f"isolation: a file with {_HANGING} x {backlog:,} waiting deliveries")
        await trio.to_thread.run_sync(_fill, database, receiver.url, f"http://127.0.0.1:{port}", backlog)
        async with daemon(database, _NO_LIMIT) as running:
            return await _Watch(bench, running, receiver, backlog).figures()


def _fill(database: Path, healthy: str, hanging: str, backlog: int) -> None:
    """`b` and `quiet` have one healthy webhook each. `mixed` has three that hang beside a healthy one, `hanging-…` 64,
    each behind its backlog; they are inactive, so that nothing happens yet."""
    with filling(database) as fill:
        for name in ("b", "quiet"):
            fill.webhook(fill.tenant(name), f"{healthy}/{name}")
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
    def __init__(self, bench: Bench, running: Daemon, receiver: latency.Receiver, backlog: int) -> None:
        self._bench = bench
        self._running = running
        self._receiver = receiver
        self._backlog = backlog
        self._operator = running.caller(running.operator_token)

    async def figures(self) -> list[Figure]:
        quiet = await self._pair("nobody beside them", "quiet")
        async with self._flood():
            flooded = await self._pair("largest batches beside them", "quiet")
        await self._activate("flood", active=False)
        await self._activate("mixed")
        mixed = await self._pair("3 hanging webhooks beside it", "mixed")
        await self._activate("mixed", active=False)
        beside: dict[int, _Pair] = {}
        for neighbours in _NEIGHBOURS:
            for number in range(max(beside, default=0), neighbours):
                await self._activate(f"hanging-{number}")
            beside[neighbours] = await self._pair(f"{neighbours} hanging tenants", "hanging-0")
        for number in range(_HANGING):
            await self._activate(f"hanging-{number}", active=False)
        quiet += await self._pair("nobody beside them, again", "quiet")
        batches, waiting = f"{messages.MOST:,} events x {_WIDEST} webhooks, in a loop", f"{self._backlog:,} wait"
        figures = [
            _figure("B, largest batches beside it", flooded.b, quiet.b, batches),
            _figure("same tenant, 3 webhooks hang", mixed.other, quiet.other, waiting),
        ]
        for neighbours, seen in beside.items():
            how = f"{neighbours} x {_ENDPOINTS} endpoints, {waiting} for each tenant"
            figures += [
                _figure(f"B, {neighbours} tenants hang", seen.b, quiet.b, how),
                _figure(f"same tenant, {neighbours} tenants hang", seen.other, quiet.other, how),
            ]
        return figures

    async def _activate(self, tenant: str, *, active: bool = True) -> None:
        await self._operator.ask("PATCH", f"/v1/tenants/{tenant}", {"active": active})

    async def _pair(self, what: str, other: str) -> _Pair:
        """Publish for B and for the other tenant at once."""
        self._bench.doing(f"isolation: {what}")
        await trio.sleep(_SETTLING)
        count = self._bench.amount(_EVENTS)
        took: dict[str, list[float]] = {}

        async def watch(tenant: str) -> None:
            token = await self._running.token(tenant, create=False)
            seen = await latency.measure(self._running, self._receiver, token, f"/{tenant}", _RATE, count)
            took[tenant] = seen.milliseconds

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch, "b")
            nursery.start_soon(watch, other)
        return _Pair(took["b"], took[other])

    @asynccontextmanager
    async def _flood(self) -> AsyncIterator[None]:
        """Another tenant publishes the largest allowed batches, one after another, to webhooks that answer."""
        token = await self._running.token("flood")
        for number in range(_WIDEST):
            await self._running.caller(token).register(f"{self._bench.nginx.url}/{number}")
        seconds = self._bench.amount(_EVENTS) / _RATE + _SETTLING
        request = messages.publishing(token, messages.MOST)
        job = load_client.Job(
            self._running.host, self._running.port, [request], 10_000, seconds=seconds, keep_bodies=False
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(children.load, job, CORES)
            yield


def _figure(name: str, took: list[float], quiet: list[float], how: str) -> Figure:
    return Figure("isolation", f"p99 of {name}", p99(took), "ms", p99(quiet), _FAIR, how)
