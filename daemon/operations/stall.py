"""Notices while the event loop is blocked, by whom and where: `loop.blocked` in the log.

The loop only notes when a turn begins and ends, which costs it a microsecond a turn (a hook at each step of a task
would cost one a step); a thread looks at that twenty times a second, and at the loop's stack if a turn takes long.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from contextlib import contextmanager
from math import inf
from time import perf_counter, process_time
from typing import TYPE_CHECKING, cast

import trio

from daemon.operations.logs import get_logger
from daemon.operations.stall_report import LONGEST_TURN, Sample, StallReport
from daemon.operations.tracebacks import Trace, trace

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import FrameType

    from daemon.operations.stall_report import Stall

    _Turn = tuple[float, float]
    """When it began, and how long it took."""

# A turn that becomes a stall was looked at once at least before it did.
_LOOK_SECONDS = LONGEST_TURN / 2
_END_WITHIN = 1.0

log = get_logger()


class _Turns(trio.abc.Instrument):
    """`began`: when the loop's turn began; None while it waits for something to do."""

    def __init__(self, ended: Callable[[float, float], None]) -> None:
        self.began: float | None = None
        self._ended = ended

    def after_io_wait(self, timeout: float) -> None:
        self.began = perf_counter()

    def before_io_wait(self, timeout: float) -> None:
        began, self.began = self.began, None
        if began is not None and (seconds := perf_counter() - began) > LONGEST_TURN:
            self._ended(began, seconds)


@contextmanager
def watched(blocked: Callable[[float], None]) -> Generator[None]:
    """Within it, the loop that runs this is watched. `blocked` is called in it with the seconds of each stall."""
    ended: deque[_Turn] = deque()

    def end(began: float, seconds: float) -> None:
        ended.append((began, seconds))
        blocked(seconds)

    turns = _Turns(end)
    stop = threading.Event()
    # A daemon: a process whose loop is stuck for good can still be ended.
    thread = threading.Thread(
        target=_watch, args=(turns, ended, threading.get_ident(), stop), name="stall-watch", daemon=True
    )
    trio.lowlevel.add_instrument(turns)
    thread.start()
    try:
        yield
    finally:
        trio.lowlevel.remove_instrument(turns)
        stop.set()
        thread.join(_END_WITHIN)


def _watch(turns: _Turns, ended: deque[_Turn], loop: int, stop: threading.Event) -> None:
    report = StallReport()
    looked, used = perf_counter(), process_time()
    while True:
        stopping = stop.wait(_LOOK_SECONDS)
        began, now = turns.began, perf_counter()
        over = [ended.popleft() for _ in range(len(ended))]
        # Late, and no processor time used meanwhile: it was not the loop alone that did not run.
        paused = now - looked - _LOOK_SECONDS - (process_time() - used)
        if paused > _LOOK_SECONDS and (turn := _longest(over, began, now)):
            report.paused(turn, paused)
        looked, used = perf_counter(), process_time()
        for turn, seconds in over:
            report.ended(turn, seconds)
        if began is not None and now - began > _LOOK_SECONDS and report.curious(began):
            sample = _look(loop)
            if sample and turns.began == began:  # else it is of another turn
                report.seen(began, sample)
        # At the end what is left is told at once.
        if stall := report.due(inf, None) if stopping else report.due(now, began):
            _tell(stall)
        if stopping:
            return


def _longest(ended: list[_Turn], began: float | None, now: float) -> float | None:
    running = [] if began is None else [(began, now - began)]
    return max([*ended, *running], key=lambda turn: turn[1], default=(None,))[0]


def _tell(stall: Stall) -> None:
    log.warning(
        "loop.blocked",
        milliseconds=round(stall.seconds * 1000),
        paused=round(stall.paused * 1000),
        ended=stall.ended,
        count=stall.count,
        task=stall.task,
        tasks=stall.tasks,
        stack=stall.stack and Trace(stall.stack),
    )


def _look(loop: int) -> Sample | None:
    """The task that the loop's thread runs at this moment, and where it is."""
    frames: list[FrameType] = []
    frame = sys._current_frames().get(loop)  # pyright: ignore[reportPrivateUsage] documented, for debuggers as this
    while frame and not _is_loop(frame):
        frames.append(frame)
        frame = frame.f_back
    if not frame or not frames:
        return None
    # Between tasks Trio's variable still has the last one.
    last = frame.f_locals.get("task")
    runs = isinstance(last, trio.lowlevel.Task) and last.coro.cr_frame is frames[-1]
    return Sample(cast("trio.lowlevel.Task", last).name if runs else "trio", trace(reversed(frames)))


def _is_loop(frame: FrameType) -> bool:
    return frame.f_code.co_name == "unrolled_run" and frame.f_globals.get("__name__") == "trio._core._run"
