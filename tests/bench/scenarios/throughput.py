"""Throughput, and the cost of a delivery: both from the same runs, beside the bare loop's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, structs

from tests.bench import stages
from tests.bench.bench import Bare
from tests.bench.delivering import Delivered, Plan, deliver
from tests.bench.figures import Figure, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.bench.bench import Bench

_EVENTS = 50_000
_SAMPLED = 20_000
_MAIN = "1 webhook, 64 slots"
_SHAPES = {
    _MAIN: Plan(_EVENTS, per_webhook=64),
    "1 webhook, 16 slots": Plan(_EVENTS),
    "100 tenants": Plan(_EVENTS, tenants=100),
    "10 webhooks": Plan(_EVENTS // 10, webhooks=10),
}
# The shape that is judged. The others run once: other work on the machine moves a run by a tenth or more.
_REPETITIONS = 3
_SHARE = Target("at least", 0.15, of="ratio", aim=0.30)
_COST = Target("at most", 6, of="ratio", aim=4)
# A receiver busier than this might be what is measured.
_RECEIVER_BUSY = 0.9
_samples = msgspec.json.Decoder(list[tuple[str, list[tuple[str, str]], float]])


class _Run(Struct, frozen=True):
    """A run, and the bare loop before and after it."""

    daemon: Delivered
    before: Bare
    after: Bare

    @property
    def bare(self) -> Bare:
        return self.before + self.after

    @property
    def share(self) -> float:
        return self.daemon.rate / self.bare.rate

    @property
    def cost(self) -> float:
        return self.daemon.cpu_each / self.bare.cpu_each


async def measure(bench: Bench) -> list[Figure]:
    throughput: list[Figure] = []
    cost: list[Figure] = []
    busiest = (0.0, 0.0)
    for name, shape in _SHAPES.items():
        for pinned in (True, False):
            plan = structs.replace(shape, events=bench.amount(shape.events), pinned=pinned)
            where = f"{name}, {'one core' if pinned else 'unpinned'}"
            times = _REPETITIONS if name == _MAIN and not bench.quick else 1
            bare = await bench.bare(plan.connections, plan.deliveries, pinned=pinned)
            runs: list[_Run] = []
            for _ in range(times):
                runs.append(await _run(bench, where, plan, runs[-1].after if runs else bare))
            busiest = max(busiest, *((run.bare.receiver_busy, run.bare.busy) for run in runs))
            throughput.append(_throughput(where, runs))
            if pinned:
                cost.append(_cost(name, runs))
                if name == _MAIN:
                    cost += await _split(bench, plan, _middle(runs, lambda run: run.cost).daemon)
    receiver = Figure(
        "receiver",
        "CPU in the bare loop's busiest run",
        100 * busiest[0],
        "% of a core",
        100 * busiest[1],
        Target("at most", 100 * _RECEIVER_BUSY),
        "beside it the bare loop's own; a receiver with a core to itself and time to spare is not what is measured",
    )
    return [*throughput, receiver, *cost]


async def _run(bench: Bench, where: str, plan: Plan, before: Bare) -> _Run:
    bench.doing(f"throughput: {where}")
    run = await deliver(bench, plan)
    after = await bench.bare(plan.connections, plan.deliveries, pinned=plan.pinned)
    bench.complete("throughput", run.tally)
    return _Run(run, before, after)


def _middle(runs: Sequence[_Run], by: Callable[[_Run], float]) -> _Run:
    """The run with the median."""
    return sorted(runs, key=by)[(len(runs) - 1) // 2]


def _all(runs: Sequence[_Run], by: Callable[[_Run], float]) -> str:
    return f"median of {', '.join(f'{by(run):.2f}' for run in runs)}; " if len(runs) > 1 else ""


def _throughput(where: str, runs: Sequence[_Run]) -> Figure:
    def share(run: _Run) -> float:
        return run.share

    run = _middle(runs, share)
    daemon, bare = run.daemon, run.bare
    how = (
        f"{_all(runs, share)}daemon {daemon.cpu_each:.0f} µs CPU each, {daemon.busy:.0%} of a core; "
        f"receiver {daemon.receiver_busy:.0%}, publisher {daemon.publisher_busy:.0%}; "
        f"bare loop {bare.cpu_each:.1f} µs, {bare.busy:.0%}, its receiver {bare.receiver_busy:.0%}"
    )
    if bare.receiver_busy > _RECEIVER_BUSY:
        how += ": THE RECEIVER WAS THE LIMIT, the ratio flatters"
    return Figure("throughput", where, daemon.rate, "/s", bare.rate, _SHARE if where.startswith(_MAIN) else None, how)


def _cost(name: str, runs: Sequence[_Run]) -> Figure:
    def cost(run: _Run) -> float:
        return run.cost

    run = _middle(runs, cost)
    how = f"{_all(runs, cost)}CPU for one delivery, one core"
    target = _COST if name == _MAIN else None
    return Figure("cost", name, run.daemon.cpu_each, "µs", run.bare.cpu_each, target, how)


async def _split(bench: Bench, plan: Plan, whole: Delivered) -> list[Figure]:
    bench.doing("cost: where the time goes")
    samples = bench.folder / "samples.json"
    run = await deliver(bench, structs.replace(plan, events=bench.amount(_SAMPLED), pinned=False), samples)
    bench.complete("throughput", run.tally)
    shares = stages.split(_samples.decode(samples.read_bytes()))
    slower = f"sampled unpinned, {run.cpu_each / whole.cpu_each - 1:+.0%} CPU with that"
    return [
        Figure("cost", f"of which {stage}", share * whole.cpu_each, "µs", note=f"{share:.0%}; {slower}")
        for stage, share in shares.items()
    ]
