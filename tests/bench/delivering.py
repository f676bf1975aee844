"""One run of the main job: so many events published in batches, until every delivery has arrived and is recorded."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from msgspec import Struct

from tests.bench import children, load_client, messages
from tests.bench.bench import ONE_CORE, OTHER_CORES
from tests.bench.completeness import Tally, tally
from tests.bench.daemon_process import daemon
from tests.bench.processes import CORES, cpu_seconds, pin

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench.bench import Bench
    from tests.bench.daemon_process import Daemon

_BATCH = 100
_PUBLISHERS = 4
_RECORDED_WITHIN = 600.0


class Plan(Struct, frozen=True):
    events: int
    tenants: int = 1
    webhooks: int = 1
    per_webhook: int = 16
    pinned: bool = True

    @property
    def deliveries(self) -> int:
        return self.events * self.webhooks

    @property
    def connections(self) -> int:
        """How many the daemon may use at once."""
        return min(2048, self.tenants * min(64, self.webhooks * self.per_webhook))


class Delivered(Struct, frozen=True):
    """`seconds`: from the first byte published to the last arrival; `publishing`: to the last 202; `recorded`: until
    every outcome was on disk. CPU in seconds: the daemon's and the receiver's until then, the publisher's own."""

    deliveries: int
    seconds: float
    recorded: float
    cpu: float
    receiver_cpu: float
    publisher_cpu: float
    publishing: float
    tally: Tally

    @property
    def rate(self) -> float:
        return self.deliveries / self.seconds

    @property
    def cpu_each(self) -> float:
        """Microseconds."""
        return self.cpu / self.deliveries * 1e6

    @property
    def busy(self) -> float:
        """How much of one core the daemon used."""
        return self.cpu / self.recorded

    @property
    def receiver_busy(self) -> float:
        return self.receiver_cpu / self.recorded

    @property
    def publisher_busy(self) -> float:
        return self.publisher_cpu / self.publishing


async def deliver(bench: Bench, plan: Plan, samples: Path | None = None) -> Delivered:
    """A new daemon with a new file delivers it all. `samples`: see `daemon`."""
    changes = {"delivery": {"max_concurrent_per_webhook": plan.per_webhook}}
    cores = ONE_CORE if plan.pinned else CORES
    async with daemon(bench.database(), changes, cores=cores, samples=samples) as running:
        tokens = [await running.token(f"tenant-{number}") for number in range(plan.tenants)]
        for token in tokens:
            caller = running.caller(token)
            for number in range(plan.webhooks):
                await caller.register(f"{bench.nginx.url}/{number}")
        return await flood(bench, running, tokens, plan)


async def flood(bench: Bench, running: Daemon, tokens: list[str], plan: Plan) -> Delivered:
    """Publish through a daemon whose webhooks are registered at the receiver."""
    arrivals, cores = bench.nginx.arrivals, OTHER_CORES if plan.pinned else CORES
    pin(bench.nginx.worker, cores)
    requests = [messages.publishing(token, _BATCH) for token in tokens]
    job = load_client.Job(running.host, running.port, requests, plan.events // _BATCH, _PUBLISHERS)
    arrivals.mark()
    cpu, receiver, started = running.cpu_seconds(), cpu_seconds(bench.nginx.worker), time.perf_counter()
    report = await children.load(job, cores)
    began = time.time() - (time.monotonic() - report.began / 1e9)
    await running.recorded(_RECORDED_WITHIN)
    cpu, receiver = running.cpu_seconds() - cpu, cpu_seconds(bench.nginx.worker) - receiver
    recorded = time.perf_counter() - started
    lines = await arrivals.since_mark()
    sent = [event for answer in report.answers for event in messages.published_ids(answer.body)]
    return Delivered(
        deliveries=plan.deliveries,
        seconds=lines[-1][0] - began,
        recorded=recorded,
        cpu=cpu,
        receiver_cpu=receiver,
        publisher_cpu=report.cpu,
        publishing=report.seconds,
        tally=tally(
            ((f"/{number}", event) for event in sent for number in range(plan.webhooks)),
            ((path, event) for _, path, event in lines),
        ),
    )
