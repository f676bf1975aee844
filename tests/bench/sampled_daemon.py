"""The daemon under a sampler: every 2 ms of its CPU time, which thread used how much, and where it stands.

Run: `python sampled_daemon.py FILE serve --config …`. The samples are written to FILE when the daemon has stopped.
The numbers are each thread's own CPU clock; only where they are booked is sampled.
"""

from __future__ import annotations

import atexit
import signal
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from daemon.cli import main

if TYPE_CHECKING:
    from types import FrameType

_INTERVAL = 0.002
_DEPTH = 60

Key = tuple[str, tuple[tuple[str, str], ...]]

WAITING = (("", "waiting"),)


class Sampler:
    def __init__(self) -> None:
        self.seconds: dict[Key, float] = defaultdict(float)
        self._before: dict[int, int] = {}
        self._main = threading.main_thread().ident

    def sample(self, signum: int, interrupted: FrameType | None) -> None:
        del signum
        for thread, current in sys._current_frames().items():
            frame: FrameType | None = current
            used = self._used(thread)
            if not used:
                continue
            if thread == self._main:
                frame = interrupted
            elif not self._used(thread):
                frame = None
            self.seconds[str(thread), _stack(frame)] += used / 1e9

    def _used(self, thread: int) -> int:
        """Nanoseconds of CPU since the last look; 0 at the first. Two looks in a row tell whether it runs just now.

        The thread exists: whoever has a frame cannot end while we hold the interpreter."""
        now = time.clock_gettime_ns(time.pthread_getcpuclockid(thread))
        before = self._before.get(thread, now)
        self._before[thread] = now
        return now - before

    def save(self, path: Path) -> None:
        path.write_bytes(msgspec.json.encode([(thread, stack, s) for (thread, stack), s in self.seconds.items()]))


def _stack(frame: FrameType | None) -> tuple[tuple[str, str], ...]:
    if frame is None:
        return WAITING
    stack: list[tuple[str, str]] = []
    while frame is not None and len(stack) < _DEPTH:
        stack.append((frame.f_code.co_filename, frame.f_code.co_name))
        frame = frame.f_back
    return tuple(stack)


if __name__ == "__main__":
    sampler = Sampler()
    atexit.register(sampler.save, Path(sys.argv.pop(1)))
    signal.signal(signal.SIGPROF, sampler.sample)
    signal.setitimer(signal.ITIMER_PROF, _INTERVAL, _INTERVAL)
    main()
