"""The thread that writes log lines, so that nobody else ever waits for the place they go to.

Lines wait in a buffer bounded in bytes. When it is full, lines are dropped and counted; when the sink takes lines
again, one line `log.dropped` says how many are missing, at the place where they are missing.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.operations.log_sinks import Sink

BUFFER_BYTES = 8 << 20
_GATHER_SECONDS = 0.005  # one write for what comes within it: a wake-up a line would cost the event loop its turns
_RETRY_SECONDS = 0.5


class LogWriter:
    """Takes lines from any thread and gives them to `sink`, in a thread of its own.

    `render_dropped(n)` makes the line that reports n missing ones. `dropped` counts all that were ever lost.
    `on_flushed` is called by a `close` that wrote everything."""

    def __init__(
        self,
        sink: Sink,
        render_dropped: Callable[[int], bytes],
        *,
        buffer_bytes: int = BUFFER_BYTES,
        on_flushed: Callable[[], None] = lambda: None,
    ) -> None:
        self.dropped = 0
        self._render_dropped = render_dropped
        self._limit = buffer_bytes
        self._on_flushed = on_flushed
        self._sink = sink
        # Each with how many of the lines that wait were rendered for those before it.
        self._next_sinks: list[tuple[int, Sink]] = []
        self._lock = threading.Lock()
        self._lines: list[bytes] = []
        self._size = 0
        self._unreported = 0
        self._unwritten = 0
        self._asleep = False
        self._closed = False
        self._abandoned = False
        self._wake = threading.Event()
        # A daemon: a sink that is stalled for good must not keep the process from ending.
        self._thread = threading.Thread(target=self._live, name="log-writer", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Never blocks. The line is dropped, and counted, if the buffer is full or the writer closed."""
        with self._lock:
            if self._closed or self._size + len(line) > self._limit:
                self.dropped += 1
                self._unreported += 1
                return
            if self._unreported:
                self._append(self._render_dropped(self._unreported))
                self._unreported = 0
            self._append(line)
            wake, self._asleep = self._asleep, False
        if wake:
            self._wake.set()

    def use(self, sink: Sink, render_dropped: Callable[[int], bytes]) -> None:
        """Give `sink` what comes from now on; what waits, and was rendered for the former, goes there first."""
        with self._lock:
            if self._unreported:
                self._append(self._render_dropped(self._unreported))
                self._unreported = 0
            self._next_sinks.append((len(self._lines), sink))
            self._render_dropped = render_dropped

    def close(self, timeout: float) -> bool:
        """Write what waits, for at most `timeout` seconds. True if all was written; what was not counts as dropped.

        Later lines are dropped. A second call changes nothing and does not wait."""
        with self._lock:
            repeated, self._closed = self._closed, True
        self._wake.set()
        self._thread.join(0 if repeated else timeout)
        if not self._thread.is_alive():
            if not repeated:
                self._on_flushed()
            return not self._abandoned
        self._abandoned = True
        with self._lock:
            self.dropped += len(self._lines) + self._unwritten
            self._lines, self._size, self._unwritten = [], 0, 0
        return False

    def _append(self, line: bytes) -> None:
        self._lines.append(line)
        self._size += len(line)

    def _live(self) -> None:
        self._run()
        for sink in (self._sink, *(sink for _, sink in self._next_sinks)):
            sink.close()

    def _run(self) -> None:
        while True:
            lines = self._take()
            if lines is None:
                return
            for start, end in _batches(lines, self._sink.batch_bytes):
                self._write_all(b"".join(lines[start:end]))
                if self._abandoned:
                    return
                with self._lock:
                    self._unwritten -= end - start
                    self._size -= sum(map(len, lines[start:end]))
            del lines  # else a burst of them stays in memory until the next one is there

    def _take(self) -> list[bytes] | None:
        """All that waits, as soon as there is something; None when closed and empty."""
        while True:
            with self._lock:
                if self._unreported:
                    self._append(self._render_dropped(self._unreported))
                    self._unreported = 0
                while self._next_sinks and not self._next_sinks[0][0]:
                    self._sink.close()
                    _, self._sink = self._next_sinks.pop(0)
                if self._lines:
                    count = self._next_sinks[0][0] if self._next_sinks else len(self._lines)
                    lines, self._lines = self._lines[:count], self._lines[count:]
                    self._next_sinks = [(before - count, sink) for before, sink in self._next_sinks]
                    self._unwritten = len(lines)
                    return lines
                if self._closed:
                    return None
                self._asleep = True
                self._wake.clear()
            self._wake.wait()
            if not self._closed:
                time.sleep(_GATHER_SECONDS)

    def _write_all(self, data: bytes) -> None:
        """Until written or abandoned: an error (disk full, reader gone) is tried again, so no line is ever cut."""
        rest = memoryview(data)
        while rest and not self._abandoned:
            try:
                rest = rest[self._sink.write(rest) :]
            except (OSError, ValueError):
                time.sleep(_RETRY_SECONDS)


def _batches(lines: list[bytes], most_bytes: int) -> list[tuple[int, int]]:
    """Ranges of whole lines, each of about `most_bytes` at most unless one line alone is longer."""
    batches: list[tuple[int, int]] = []
    start = size = 0
    for index, line in enumerate(lines):
        if size and size + len(line) > most_bytes:
            batches.append((start, index))
            start, size = index, 0
        size += len(line)
    return [*batches, (start, len(lines))]
