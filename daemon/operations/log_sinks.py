"""Where log lines go: what a sink is, and the one for streams (files, pipes, terminals)."""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from typing import TextIO

_ROOM_SECONDS = 0.5


class Sink(Protocol):
    """Used by one thread, which it may block for as long as it likes."""

    batch_bytes: int
    """About how many bytes of whole lines one `write` is given at most; 0: each line alone."""

    def write(self, data: memoryview) -> int:
        """Returns how many of the bytes it took. OSError or ValueError: none of them; they may be offered again."""
        ...

    def close(self) -> None:
        """Give back what the sink itself has opened."""
        ...


class StreamSink:
    """Writes to the descriptor of `stream` if it has one, else through its `write`. The stream stays open."""

    batch_bytes = 65_536

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._descriptor = _descriptor(stream)

    def write(self, data: memoryview) -> int:
        if self._descriptor is None:
            self._stream.write(str(data, "utf-8"))
            return len(data)
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:
            # The descriptor was made non-blocking, by whoever shares it.
            poll = select.poll()
            poll.register(self._descriptor, select.POLLOUT)
            poll.poll(_ROOM_SECONDS * 1000)
            return 0

    def close(self) -> None:
        """The stream stays open: it is not the sink's."""


def _descriptor(stream: TextIO) -> int | None:
    try:
        stream.flush()
        return stream.fileno()
    except (OSError, ValueError):
        return None
