"""Which of many sockets have something to say, found out without a task and a system call for each of them.

Trio wakes a task for every socket it waits for, and tells the kernel anew for every wait: half of what a short exchange
costs. Here sockets stay known to an epoll of our own, and Trio waits for that one alone.
"""

from __future__ import annotations

import errno
import os
import select
from typing import TYPE_CHECKING, Final

import trio

if TYPE_CHECKING:
    from collections.abc import Callable

# Between two turns of the event loop: enough to share the cost of a turn, few enough to keep others waiting not long.
_AT_ONCE: Final = 32


class Readiness:
    """Level-triggered: `ready` is called, while `run` runs, again and again until the socket has been read or taken
    away. It must not raise. A descriptor has to be taken away before it is closed."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._ready: dict[int, Callable[[], None]] = {}

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, descriptor: int, ready: Callable[[], None]) -> None:
        """Raises OSError when the kernel has no memory or room for it, and once this is closed."""
        if self._epoll.closed:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        self._epoll.register(descriptor, select.EPOLLIN)
        self._ready[descriptor] = ready

    def remove(self, descriptor: int) -> None:
        """Nothing happens if it is not there."""
        if self._ready.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    async def run(self) -> None:
        """Until cancelled; then nobody is told anything any more."""
        while True:
            await trio.lowlevel.wait_readable(self._epoll.fileno())
            for descriptor, _ in self._epoll.poll(0, _AT_ONCE):
                ready = self._ready.get(descriptor)
                # One that was served before it may have had this one taken away.
                if ready is not None:
                    ready()

    def close(self) -> None:
        self._ready.clear()
        self._epoll.close()
