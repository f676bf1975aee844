"""From accepted to arrived, at 200 events a second, one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.bench import children, latency, load_client, machine
from tests.bench.daemon_process import daemon
from tests.bench.figures import Figure, Target
from tests.bench.percentiles import median, p99
from tests.bench.processes import CORES

if TYPE_CHECKING:
    from tests.bench.bench import Bench

_RATE = 200.0
_EVENTS = 4000
_ALLOWED = 10.0


async def measure(bench: Bench) -> list[Figure]:
    events = bench.amount(_EVENTS)
    database = bench.database()
    async with latency.receiver(bench.folder) as receiver, daemon(database) as running:
        bench.doing("arrival: the receiver alone")
        alone = await _receiver_alone(receiver.port, events)
        bench.doing("arrival: fdatasync of the disk")
        synced = machine.fdatasync_milliseconds(database.parent)
        bench.doing(f"arrival: {_RATE:g} events/s")
        token = await running.token("acme")
        await running.caller(token).register(f"{receiver.url}/hook")
        took = await latency.measure(running, receiver, token, "/hook", _RATE, events)
    wanted = Target("at most", round(_ALLOWED + 2 * p99(synced), 2))
    how = f"published → arrived at {_RATE:g}/s; beside it a POST to the receiver and its answer"
    return [
        Figure("arrival", "p50", median(took.milliseconds), "ms", median(alone), note=how),
        Figure("arrival", "p99", p99(took.milliseconds), "ms", p99(alone), wanted, note="10 ms + 2 x fdatasync p99"),
        Figure("arrival", "not arrived, or twice", took.missing + took.twice, "", target=Target("at most", 0)),
        Figure("arrival", "fdatasync p50", median(synced), "ms", note="4 KiB appended, this disk"),
        Figure("arrival", "fdatasync p99", p99(synced), "ms", note="4 KiB appended, this disk"),
    ]


async def _receiver_alone(port: int, count: int) -> list[float]:
    request = load_client.Sent("POST", "/alone", body="x" * 350)
    job = load_client.Job("127.0.0.1", port, [request], count, connections=8, rate=_RATE)
    report = await children.load(job, CORES)
    return [(answer.answered - answer.sent) / 1e6 for answer in report.answers]
