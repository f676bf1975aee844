"""The daemon with a fault that a test asks for: real functions of it are wrapped, then its own command line runs.

`python -m harness.faulty_daemon [--kill-at POINT --passing N] [--clock FILE] [--stuck-on FIFO] [--starting-until FIFO]
serve --config FILE`

`--kill-at` has the process kill itself with SIGKILL when it passes the point for the N-th time. `--clock` adds to the
wall clock the nanoseconds (a signed 64-bit integer, native) that the mapped file holds at that moment. `--stuck-on` has
`/readyz` block the event loop until somebody opens the FIFO for writing. `--starting-until` has the front end wait for
the same before it starts; the event loop turns.
"""

from __future__ import annotations

import argparse
import functools
import inspect
import mmap
import os
import signal
import struct
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from daemon.delivery.tenant import TenantActor
from daemon.egress import transport
from daemon.egress.tls_wire import TlsWire
from daemon.egress.wire import PlainWire
from daemon.front_end.routes import observation
from daemon.front_end.server import Server
from daemon.persistence import actor, execution, recovery
from daemon.persistence.commands import Command, Progress, Publish

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from daemon.front_end.routing import Reply

OFFSET = struct.Struct("=q")


class Trap:
    """Springs at the N-th passing: the process is gone before the next instruction of this thread."""

    def __init__(self, passing: int) -> None:
        self._left = passing

    def passed(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(self, owner: object, name: str, when: Callable[..., bool]) -> None:
        """Passed when `owner.name` is called with arguments for which `when` holds."""
        original = getattr(owner, name)

        @functools.wraps(original)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if when(*args, **kwargs):
                self.passed()
            return original(*args, **kwargs)

        setattr(owner, name, wrapped)

    def after(self, owner: object, name: str, when: Callable[..., bool] = lambda *_, **__: True) -> None:
        """Passed when such a call has returned; what it raises is no passing."""
        original = getattr(owner, name)

        @functools.wraps(original)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if when(*args, **kwargs):
                self.passed()
            return result

        @functools.wraps(original)
        async def wrapped_coroutine(*args: Any, **kwargs: Any) -> Any:
            result = await original(*args, **kwargs)
            if when(*args, **kwargs):
                self.passed()
            return result

        setattr(owner, name, wrapped_coroutine if inspect.iscoroutinefunction(original) else wrapped)


def _publishes(db: object, commands: Iterable[Command[Any]], *_: object) -> bool:
    return any(isinstance(command, Publish) for command in commands)


def _records(db: object, commands: Iterable[Command[Any]], *_: object) -> bool:
    return any(isinstance(command, Progress) and command.finished for command in commands)


POINTS: dict[str, Callable[[Trap], None]] = {
    "after receive": lambda trap: trap.before(
        actor.Persistence, "execute", lambda self, command, *_: isinstance(command, Publish)
    ),
    "before the commit": lambda trap: trap.after(execution, "_run", _publishes),
    "after the commit, before the hand-over": lambda trap: trap.after(actor, "execute", _publishes),
    "after the claim": lambda trap: trap.before(
        TenantActor, "_settle", lambda self, step, progressed: bool(progressed.claimed)
    ),
    "after connect": lambda trap: trap.after(transport, "connect"),
    "after the handshake": lambda trap: trap.after(transport, "handshake"),
    "after the bytes were sent over TLS": lambda trap: trap.after(TlsWire, "send"),
    "after the bytes were sent": lambda trap: trap.after(PlainWire, "send"),
    "after the response": lambda trap: trap.before(TenantActor, "_ended", lambda self, attempt, result: True),
    "before the outcome's commit": lambda trap: trap.after(execution, "_run", _records),
    "after the outcome's commit": lambda trap: trap.after(actor, "execute", _records),
    "before recovery's commit": lambda trap: trap.after(recovery, "_set_last_delivery"),
}


def _step_clock(path: Path) -> None:
    """Both ways of asking for the wall clock follow the file from now on; the monotonic clock is left alone."""
    with path.open("r+b") as file:
        offset = mmap.mmap(file.fileno(), OFFSET.size)
    real = time.time_ns

    def time_ns() -> int:
        return real() + OFFSET.unpack_from(offset)[0]

    time.time_ns = time_ns
    time.time = lambda: time_ns() / 1e9


def _get_stuck(fifo: Path) -> None:
    original = observation.reply

    def reply(state: observation.State) -> Reply:
        if state.status == "ready":
            fifo.open("rb").close()
        return original(state)

    observation.reply = reply


def _start_slowly(fifo: Path) -> None:
    original = Server.run

    async def run(self: Server, *, task_status: trio.TaskStatus[None]) -> None:
        await trio.to_thread.run_sync(fifo.read_bytes, abandon_on_cancel=True)
        await original(self, task_status=task_status)

    Server.run = run


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kill-at", choices=POINTS)
    parser.add_argument("--passing", type=int, default=1)
    parser.add_argument("--clock", type=Path)
    parser.add_argument("--stuck-on", type=Path)
    parser.add_argument("--starting-until", type=Path)
    arguments, rest = parser.parse_known_args()
    if arguments.kill_at:
        POINTS[arguments.kill_at](Trap(arguments.passing))
    if arguments.clock:
        _step_clock(arguments.clock)
    if arguments.stuck_on:
        _get_stuck(arguments.stuck_on)
    if arguments.starting_until:
        _start_slowly(arguments.starting_until)
    sys.argv[1:] = rest

    from daemon.cli import main as serve

    serve()


if __name__ == "__main__":
    main()
