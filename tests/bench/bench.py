"""What every scenario works with: the receiver, a place for files, how much to do, the progress bar."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from tests.bench import bare_loop, children, messages
from tests.bench.processes import CORES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.bench.nginx import Nginx

ONE_CORE, OTHER_CORES = CORES[:1], CORES[1:] or CORES


class Bench:
    """`quick`: a tenth of the work, for whoever changes the benchmark. `full`: also what takes long and fills disks.

    `doing` says what goes on now."""

    def __init__(self, nginx: Nginx, folder: Path, doing: Callable[[str], None], *, quick: bool, full: bool) -> None:
        self.nginx = nginx
        self.folder = folder
        self.doing = doing
        self.quick = quick
        self.full = full
        self._numbers = count(1)

    def amount(self, usual: int) -> int:
        return usual // 10 if self.quick else usual

    def database(self) -> Path:
        """A path for a new database, in a folder of its own."""
        return self.folder / str(next(self._numbers)) / "webhooks.db"

    async def bare(self, connections: int, requests: int, *, pinned: bool) -> bare_loop.Report:
        """The bare loop against the same receiver, as fast as it goes."""
        self.doing(f"bare loop, {connections} connections")
        message = messages.delivered(f"{self.nginx.url}/bare")
        job = bare_loop.Job(self.nginx.port, message, requests, connections)
        return await children.bare(job, ONE_CORE if pinned else CORES)
