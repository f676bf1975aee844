"""Throughput, and the cost of a delivery: both from the same runs, beside the bare loop's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from tests.bench import stages
from tests.bench.bare_loop import Report
from tests.bench.delivering import Delivered, Plan, deliver
from tests.bench.figures import Figure, Target

if TYPE_CHECKING:
    from tests.bench.bench import Bench

import msgspec

_EVENTS = 50_000
_SHAPES = {
    "1 webhook, 64 slots": Plan(_EVENTS, per_webhook=64),
    "1 webhook, 16 slots": Plan(_EVENTS),
    "100 tenants": Plan(_EVENTS, tenants=100),
    "10 webhooks": Plan(_EVENTS // 10, webhooks=10),
}
_MAIN = "1 webhook, 64 slots"
_SHARE = Target("at least", 0.15, of="ratio", aim=0.30)
_COST = Target("at most", 6, of="ratio", aim=4)
_samples = msgspec.json.Decoder(list[tuple[str, list[tuple[str, str]], float]])


async def measure(bench: Bench) -> list[Figure]:
    throughput: list[Figure] = []
    cost: list[Figure] = []
    missing = twice = deliveries = 0
    for name, shape in _SHAPES.items():
        for pinned in (True, False):
            plan = structs.replace(shape, events=bench.amount(shape.events), pinned=pinned)
            where = f"{name}, {'one core' if pinned else 'unpinned'}"
            before = await bench.bare(plan.connections, plan.deliveries, pinned=pinned)
            bench.doing(f"throughput: {where}")
            run = await deliver(bench, plan)
            after = await bench.bare(plan.connections, plan.deliveries, pinned=pinned)
            bare = Report((before.seconds + after.seconds) / 2, (before.cpu + after.cpu) / 2)
            throughput.append(_throughput(where, run, bare, plan))
            missing, twice, deliveries = missing + run.missing, twice + run.twice, deliveries + run.deliveries
            if pinned:
                cost.append(_cost(name, run, bare, plan))
                if name == _MAIN:
                    cost += await _split(bench, plan, run)
    complete = [
        Figure("completeness", "arrived", 100 * (1 - missing / deliveries), "%", target=Target("at least", 100)),
        Figure("completeness", "arrived twice", twice, "", target=Target("at most", 0)),
    ]
    return [*throughput, *cost, *complete]


def _throughput(where: str, run: Delivered, bare: Report, plan: Plan) -> Figure:
    busy = f"receiver {run.receiver_cpu / run.seconds:.0%}, publisher {run.publisher_cpu / run.seconds:.0%} of a core"
    target = _SHARE if plan.per_webhook == 64 else None
    return Figure("throughput", where, run.rate, "/s", plan.deliveries / bare.seconds, target, busy)


def _cost(name: str, run: Delivered, bare: Report, plan: Plan) -> Figure:
    target = _COST if plan.per_webhook == 64 else None
    return Figure("cost", name, run.cpu_each, "µs", bare.cpu / plan.deliveries * 1e6, target, "CPU for one delivery")


async def _split(bench: Bench, plan: Plan, whole: Delivered) -> list[Figure]:
    bench.doing("cost: where the time goes")
    samples = bench.folder / "samples.json"
    run = await deliver(bench, structs.replace(plan, pinned=False), samples)
    shares = stages.split(_samples.decode(samples.read_bytes()))
    slower = f"{run.cpu_each / whole.cpu_each - 1:+.0%} under the sampler"
    return [
        Figure("cost", f"of which {stage}", share * whole.cpu_each, "µs", note=f"{share:.0%}; {slower}")
        for stage, share in shares.items()
    ]
