"""The wall's clock: receivers refuse signatures of another time, and ages are counted by it."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from typing import TYPE_CHECKING

import daemon
from daemon.cli.checks.finding import Finding, failed, ok, warning
from daemon.instants import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator

TIME, PACE, SYNC = "clock", "clock pace", "clock synchronisation"

_DAY = 86_400.0
_WATCHED_SECONDS, _JUMP_SECONDS = 0.25, 0.1
_SET_IT = "Set the clock, and have it synchronised (systemd-timesyncd, chrony)."
# adjtimex(2): the state of a clock that nobody synchronises, and more room than its record has anywhere.
_TIME_ERROR, _TIMEX_BYTES = 5, 1024


def clock() -> Iterator[Finding]:
    yield judge_time(time.time(), Path(daemon.__file__).stat().st_mtime)
    wall, steady = time.time(), time.monotonic()
    time.sleep(_WATCHED_SECONDS)
    yield judge_pace(time.time() - wall, time.monotonic() - steady)
    yield judge_synchronised(_state())


def judge_time(now: float, installed: float) -> Finding:
    """`installed`: when the program's own files were, which cannot have been later than now. Unix seconds."""
    says = f"It is {rfc3339(int(now * 1000))}."
    if now < installed - _DAY:
        then = rfc3339(int(installed * 1000))
        return failed(TIME, f"{says} This program was installed after that, on {then}.", _SET_IT)
    return ok(TIME, says)


def judge_pace(wall: float, steady: float) -> Finding:
    """How far two clocks went meanwhile, in seconds."""
    apart = wall - steady
    if abs(apart) > _JUMP_SECONDS:
        says = f"The clock jumped by {apart:+.2f} s while it was looked at for {steady:.2f} s."
        return warning(PACE, says, "Find out who sets it: two services that do so fight. Slewing harms nobody.")
    return ok(PACE, "It goes as fast as the machine's steady clock.")


def _state() -> int | None:
    """What adjtimex(2) says of the clock, changing nothing; None where it cannot be asked."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        return libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return None


def judge_synchronised(state: int | None) -> Finding:
    if state is None or state < 0:
        says = "Whether the clock is synchronised cannot be told here."
        return warning(SYNC, says, "Look on the host: timedatectl, or chronyc tracking.")
    if state == _TIME_ERROR:
        return warning(SYNC, "The kernel knows of nobody who synchronises the clock.", _SET_IT)
    return ok(SYNC, "The clock is synchronised.")
