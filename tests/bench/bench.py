"""What every scenario works with: the receiver, a place for files, how much to do, the progress bar."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from msgspec import Struct

from tests.bench import bare_loop, children, messages
from tests.bench.completeness import Tally
from tests.bench.processes import CORES, cpu_seconds, pin

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.bench.nginx import Nginx

ONE_CORE, OTHER_CORES = CORES[:1], CORES[1:] or CORES


class Bare(Struct, frozen=True):
    """What the bare loop did with so many requests: `seconds` in all; `cpu` seconds of its own, and of the receiver."""

    requests: int
    seconds: float
    cpu: float
    receiver_cpu: float

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    @property
    def cpu_each(self) -> float:
        """Microseconds."""
        return self.cpu / self.requests * 1e6

    @property
    def busy(self) -> float:
        """How much of one core it used."""
        return self.cpu / self.seconds

    @property
    def receiver_busy(self) -> float:
        return self.receiver_cpu / self.seconds

    def __add__(self, other: Bare) -> Bare:
        return Bare(
            self.requests + other.requests,
            self.seconds + other.seconds,
            self.cpu + other.cpu,
            self.receiver_cpu + other.receiver_cpu,
        )


class Bench:
    """`quick`: a tenth of the work, for whoever changes the benchmark. `full`: also what takes long and fills disks.

    `doing` says what goes on now. `tallies`: by scenario, what became of the deliveries that it was promised."""

    def __init__(self, nginx: Nginx, folder: Path, doing: Callable[[str], None], *, quick: bool, full: bool) -> None:
        self.nginx = nginx
        self.folder = folder
        self.doing = doing
        self.quick = quick
        self.full = full
        self.tallies: dict[str, Tally] = {}
        self._numbers = count(1)

    def complete(self, scenario: str, tally: Tally) -> None:
        self.tallies[scenario] = self.tallies.get(scenario, Tally()) + tally

    def amount(self, usual: int) -> int:
        return usual // 10 if self.quick else usual

    def database(self) -> Path:
        """A path for a new database, in a folder of its own."""
        return self.folder / str(next(self._numbers)) / "webhooks.db"

    async def bare(self, connections: int, requests: int, *, pinned: bool) -> Bare:
        """The bare loop against the same receiver, as fast as it goes."""
        self.doing(f"bare loop, {connections} connections")
        message = messages.delivered(f"{self.nginx.url}/bare")
        job = bare_loop.Job(self.nginx.port, message, requests, connections)
        pin(self.nginx.worker, OTHER_CORES if pinned else CORES)
        receiver = cpu_seconds(self.nginx.worker)
        report = await children.bare(job, ONE_CORE if pinned else CORES)
        return Bare(requests, report.seconds, report.cpu, cpu_seconds(self.nginx.worker) - receiver)
