"""How long it takes from an event's publishing to its arrival, at a steady rate, as the receiver's own clock saw it.

The receiver is the system tests' counting one: nginx's clock has milliseconds only. Both clocks are the machine's
monotonic one.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio
from harness.foreign import Ledger, counting_receiver
from msgspec import Struct

from tests.bench import children, load_client, messages
from tests.bench.processes import CORES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.bench.daemon_process import Daemon

_LAST_ARRIVALS = 1.5


class Receiver:
    def __init__(self, port: int, ledger: Ledger) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._ledger = ledger

    def arrivals(self) -> list[tuple[int, str, str]]:
        """(monotonic ns, path, webhook-id) of each arrival."""
        lines = (line.split(" ") for line in self._ledger.path.read_text().splitlines())
        return [(int(at), path, event) for at, path, event, *_ in lines]


class Latencies(Struct, frozen=True):
    """`milliseconds` from the sending of each publish request to its event's arrival, in order of publishing; what has
    not arrived yet counts with its age, and in `missing`. `twice` counts repeated arrivals."""

    milliseconds: list[float]
    missing: int
    twice: int


@asynccontextmanager
async def receiver(folder: Path) -> AsyncIterator[Receiver]:
    ledger = Ledger(folder / f"arrivals-{time.monotonic_ns()}")
    async with counting_receiver(ledger) as port:
        yield Receiver(port, ledger)


async def measure(running: Daemon, to: Receiver, token: str, path: str, rate: float, count: int) -> Latencies:
    """Publish `count` single events in an open loop of `rate` a second; they arrive at `path`."""
    request = messages.publishing(token)
    job = load_client.Job(running.host, running.port, [request], count, connections=8, rate=rate)
    report = await children.load(job, CORES)
    await trio.sleep(_LAST_ARRIVALS)
    first: dict[str, int] = {}
    twice = 0
    sent = {messages.published_ids(answer.body)[0]: answer.sent for answer in report.answers}
    for at, target, event in to.arrivals():
        if target == path and event in sent:
            twice += event in first
            first.setdefault(event, at)
    now = time.monotonic_ns()
    milliseconds = [(first.get(event, now) - at) / 1e6 for event, at in sent.items()]
    return Latencies(milliseconds, len(sent) - len(first), twice)
