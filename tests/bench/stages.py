"""Which stage of the walk a stack belongs to: where the sampled CPU time of the daemon goes."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

IDLE = "idle"
STARTING = "starting"
OTHER = "other"
STAGES = ("decode", "commit", "claim", "attempt", "record", "log", "schedule", OTHER)

# The innermost frame that matches decides. A rule is the end of a file's path and the function, or any function.
_RULES: tuple[tuple[str, str | None, str], ...] = (
    ("<frozen importlib", None, STARTING),
    ("/persistence/progress.py", "_look", "claim"),
    ("/persistence/progress.py", None, "record"),
    ("/persistence/publishing.py", None, "commit"),
    ("/persistence/execution.py", None, "commit"),
    ("/persistence/housekeeping.py", None, "commit"),
    ("/persistence/actor.py", None, "commit"),
    ("/persistence/lanes.py", None, "commit"),
    ("/operations/", None, "log"),
    ("/delivery/journal.py", None, "log"),
    ("/delivery/attempt.py", None, "attempt"),
    ("/delivery/target.py", None, "attempt"),
    ("/delivery/signing.py", None, "attempt"),
    ("/egress/", None, "attempt"),
    ("/delivery/", None, "schedule"),
    ("/front_end/", None, "decode"),
    ("/daemon/events.py", None, "decode"),
    ("/hypercorn/", None, "decode"),
    ("/quart", None, "decode"),
    ("/trio/_core/", None, "schedule"),
)
_WAITING = {
    ("", "waiting"),
    ("/threading.py", "wait"),
    ("/trio/_core/_thread_cache.py", "_work"),
    ("/trio/_core/_io_epoll.py", "get_events"),
    ("/operations/log_writer.py", "_run"),
}

Frame = tuple[str, str]


def stage(stack: Sequence[Frame]) -> str:
    """The stage of a stack: (file, function) of each frame, innermost first."""
    if not stack:
        return OTHER
    file, function = stack[0]
    if any(file.endswith(end) and function == name for end, name in _WAITING):
        return IDLE
    for file, function in stack:
        for part, name, found in _RULES:
            if part in file and name in (None, function):
                return found
    return OTHER


def split(samples: Iterable[tuple[str, Sequence[Frame], float]]) -> dict[str, float]:
    """The share of each stage in all CPU time, summing to 1; a sample is (thread, stack, seconds since the last).

    Imports at the start are left out. What a thread used before it was seen waiting is spread over the stages it was
    seen in, in their proportion."""
    threads: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for thread, stack, seconds in samples:
        if (found := stage(stack)) != STARTING:
            threads[thread][found] += seconds
    total: dict[str, float] = defaultdict(float)
    for stages in threads.values():
        idle = stages.pop(IDLE, 0.0)
        busy = sum(stages.values())
        if not busy:
            stages[OTHER], busy = idle, idle
            idle = 0.0
        for name, seconds in stages.items():
            total[name] += seconds * (1 + idle / busy) if busy else 0.0
    everything = sum(total.values())
    return {name: total[name] / everything for name in STAGES if total[name]} if everything else {}
