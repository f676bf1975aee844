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
from tests.bench.completeness import tally
from tests.bench.processes import CORES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.bench.completeness import Arrived, Tally
    from tests.bench.daemon_process import Daemon

_LAST_ARRIVALS = 30.0
_LOOKING = 0.2


class Receiver:
    def __init__(self, port: int, ledger: Ledger) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._ledger = ledger
        self._published: set[Arrived] = set()

    def arrivals(self) -> list[tuple[int, str, str]]:
        """(monotonic ns, path, webhook-id) of each arrival."""
        lines = (line.split(" ") for line in self._ledger.path.read_text().splitlines())
        return [(int(at), path, event) for at, path, event, *_ in lines]

    async def arrived(self, path: str, events: set[str]) -> dict[str, int]:
        """When (monotonic ns) each of these first arrived there, once all have, or after 30 s those that have."""
        self._published.update((path, event) for event in events)
        first: dict[str, int] = {}
        with trio.move_on_after(_LAST_ARRIVALS):
            while len(first) < len(events):
                await trio.sleep(_LOOKING)
                for at, target, event in self.arrivals():
                    if target == path and event in events:
                        first.setdefault(event, at)
        return first

    def tally(self) -> Tally:
        """Of all that was published to it so far."""
        return tally(self._published, ((path, event) for _, path, event in self.arrivals()))

    async def complete(self, within: float) -> Tally:
        """The tally, once nothing is missing, or after so many seconds."""
        found, end = self.tally(), trio.current_time() + within
        while found.missing and trio.current_time() < end:
            await trio.sleep(_LOOKING)
            found = self.tally()
        return found


class Latencies(Struct, frozen=True):
    """`milliseconds` from when each publish request was due to its event's arrival, in order of publishing; of what was
    refused, or has not arrived, its age when that was clear. `late`: by how many ms the client itself missed each due
    time. `refused` counts requests that got no 2xx; `why` is the answer to one of them."""

    milliseconds: list[float]
    late: list[float]
    refused: int
    why: str


@asynccontextmanager
async def receiver(folder: Path) -> AsyncIterator[Receiver]:
    ledger = Ledger(folder / f"arrivals-{time.monotonic_ns()}")
    async with counting_receiver(ledger) as port:
        yield Receiver(port, ledger)


async def measure(running: Daemon, to: Receiver, token: str, path: str, rate: float, count: int) -> Latencies:
    """Publish `count` single events in an open loop of `rate` a second; they arrive at `path`."""
    request = messages.publishing(token)
    job = load_client.Job(running.host, running.port, [request], count, connections=8, rate=rate)
    report = await children.attempt(job, CORES)
    due = {messages.published_ids(answer.body)[0]: answer.due for answer in report.answers if answer.good}
    refused = [answer for answer in report.answers if not answer.good]
    first = await to.arrived(path, set(due))
    now = time.monotonic_ns()
    milliseconds = [(first.get(event, now) - at) / 1e6 for event, at in due.items()]
    milliseconds += [(now - answer.due) / 1e6 for answer in refused]
    why = f"{refused[0].status} {refused[0].body[:200]}" if refused else ""
    return Latencies(milliseconds, report.late, len(refused), why)
