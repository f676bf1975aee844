"""From accepted to arrived, at 200 events a second, one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from msgspec import Struct

from tests.bench import children, latency, load_client, machine
from tests.bench.daemon_process import daemon
from tests.bench.figures import Figure, Target
from tests.bench.percentiles import median, p99
from tests.bench.processes import CORES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench.bench import Bench

_RATE = 200.0
_EVENTS = 3000
_ALLOWED = 10.0


class _Alone(Struct, frozen=True):
    """The machine without the daemon: POSTs to the receiver at the same rate, each from when it was due to its answer,
    and the disk's fdatasync at that rate too, meanwhile. In ms."""

    posted: list[float]
    synced: list[float]

    def __add__(self, later: _Alone) -> _Alone:
        return _Alone(self.posted + later.posted, self.synced + later.synced)


async def measure(bench: Bench) -> list[Figure]:
    events = bench.amount(_EVENTS)
    database = bench.database()
    async with latency.receiver(bench.folder) as receiver, daemon(database) as running:
        bench.doing("arrival: receiver and disk alone")
        alone = await _alone(receiver.port, database.parent, events // 3)
        bench.doing(f"arrival: {_RATE:g} events/s")
        token = await running.token("acme")
        await running.caller(token).register(f"{receiver.url}/hook")
        took = await latency.measure(running, receiver, token, "/hook", _RATE, events)
        bench.doing("arrival: receiver and disk alone, again")
        alone += await _alone(receiver.port, database.parent, events // 3)
        bench.complete("arrival", receiver.tally())
    wanted = Target("at most", round(_ALLOWED + 2 * p99(alone.synced), 2))
    how = f"publish request due → arrived, {events:,} at {_RATE:g}/s; beside it a POST to the receiver and its answer"
    disk = f"{len(alone.synced):,} x 4 KiB appended at {_RATE:g}/s, half before, half after"
    return [
        Figure("arrival", "p50", median(took.milliseconds), "ms", median(alone.posted), note=how),
        Figure("arrival", "p99", p99(took.milliseconds), "ms", p99(alone.posted), wanted, "10 ms + 2 x fdatasync p99"),
        Figure("arrival", "client late, p99", p99(took.late), "ms", note=f"of these; at most {max(took.late):.3g} ms"),
        Figure("arrival", "refused", took.refused, "", target=Target("at most", 0), note=took.why),
        Figure("arrival", "fdatasync p50", median(alone.synced), "ms", note=disk),
        Figure("arrival", "fdatasync p99", p99(alone.synced), "ms", note=disk),
    ]


async def _alone(port: int, folder: Path, count: int) -> _Alone:
    posted: list[float] = []
    synced: list[float] = []

    async def sync() -> None:
        synced.extend(await trio.to_thread.run_sync(machine.fdatasync_milliseconds, folder, count, _RATE))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(sync)
        request = load_client.Sent("POST", "/alone", body="x" * 350)
        job = load_client.Job("127.0.0.1", port, [request], count, connections=8, rate=_RATE)
        report = await children.load(job, CORES)
        posted.extend(answer.milliseconds for answer in report.answers)
    return _Alone(posted, synced)
