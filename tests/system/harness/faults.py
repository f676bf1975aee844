"""Commands that run the daemon with a fault built in, and what the tests hold of it on their side."""

from __future__ import annotations

import mmap
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from harness.faulty_daemon import OFFSET

if TYPE_CHECKING:
    from collections.abc import Iterator

# -P: the harness's own folder holds no modules of the daemon's.
FAULTY = [sys.executable, "-P", str(Path(__file__).parent / "faulty_daemon.py")]


def killed_at(point: str, passing: int = 1) -> list[str]:
    """The daemon that kills itself when it passes the point for that many times."""
    return [*FAULTY, "--kill-at", point, "--passing", str(passing)]


def stuck_on(fifo: Path) -> list[str]:
    """The daemon whose `/readyz` blocks the event loop until the FIFO is opened for writing."""
    return [*FAULTY, "--stuck-on", str(fifo)]


def starting_until(fifo: Path) -> list[str]:
    """The daemon whose front end does not start before the FIFO has been opened for writing."""
    return [*FAULTY, "--starting-until", str(fifo)]


class Clock:
    """The wall clock of the daemons that run by `command`."""

    def __init__(self, path: Path, offset: mmap.mmap) -> None:
        self.command = [*FAULTY, "--clock", str(path)]
        self._offset = offset

    def step(self, seconds: int) -> None:
        """Set it that far ahead of the machine's (behind, if negative), at once."""
        OFFSET.pack_into(self._offset, 0, seconds * 1_000_000_000)


@contextmanager
def wall_clock(path: Path) -> Iterator[Clock]:
    path.write_bytes(OFFSET.pack(0))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), OFFSET.size) as offset:
        yield Clock(path, offset)
