"""What the service manager is told, and the watchdog it keeps (sd_notify(3), sd_watchdog_enabled(3)).

Without a service manager nothing is sent, and nothing else changes.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

# Fed that often within the time allowed: one beat that is late costs nothing.
_BEATS = 3
_STATUS_SECONDS = 5.0


class ServiceManager:
    """`watchdog`: the seconds within which it wants to hear from us, again and again; None if it does not."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._socket: socket.socket | None = None
        if self._address.startswith(("/", "@")):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)
        self.watchdog = _watchdog(environ) if self._socket else None

    def ready(self) -> None:
        self._notify("READY=1")

    def reloading(self) -> None:
        """`ready` must follow."""
        self._notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._notify("STOPPING=1")

    def status(self, text: str) -> None:
        """One line for people, in `systemctl status`."""
        self._notify(f"STATUS={text}")

    def alive(self) -> None:
        self._notify("WATCHDOG=1")

    def _notify(self, state: str) -> None:
        if self._socket is None:
            return
        # A service manager that does not listen just now is no reason to stop, or to wait, for anything.
        with suppress(OSError):
            self._socket.sendto(state.encode(), self._address.replace("@", "\0", 1))


async def report(
    manager: ServiceManager, status: Callable[[], str], heartbeat: Callable[[], Awaitable[object]]
) -> None:
    """Keep the status line up to date and the watchdog fed, until cancelled.

    It is fed when `heartbeat` has returned, so only while the event loop turns and whatever that asks answers."""
    said = ""
    pause = min(_STATUS_SECONDS, (manager.watchdog or _STATUS_SECONDS * _BEATS) / _BEATS)
    while True:
        await heartbeat()
        if manager.watchdog is not None:
            manager.alive()
        if (text := status()) != said:
            said = text
            manager.status(text)
        await trio.sleep(pause)


def _watchdog(environ: Mapping[str, str]) -> float | None:
    """Seconds; None if there is no watchdog, or it is another process's."""
    microseconds, process = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not microseconds.isdecimal() or int(microseconds) == 0 or process not in ("", str(os.getpid())):
        return None
    return int(microseconds) / 1e6
