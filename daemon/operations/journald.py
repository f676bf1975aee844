"""systemd's journal: whether it is there, and the sink that writes entries of its own to it (its native protocol)."""

from __future__ import annotations

import os
from pathlib import Path
from stat import S_ISSOCK
from typing import TYPE_CHECKING

from logging_journald import JournaldTransport  # pyright: ignore[reportMissingTypeStubs] typed, without saying so

from daemon.operations.journal_entry import entry

if TYPE_CHECKING:
    from typing import TextIO

SOCKET = Path("/run/systemd/journal/socket")
_STANDARD_ERROR = 2


class JournalSink:
    """Each JSON line becomes an entry, one datagram. A `write` waits while journald's queue is full, and raises OSError
    while there is no journald; one that was started anew is found by its path."""

    batch_bytes = 0

    def __init__(self, path: Path = SOCKET) -> None:
        # Connected, the library cannot leave a socket whose peer is gone while no new one is there.
        self._transport = JournaldTransport(path, connected=False)

    def write(self, data: memoryview) -> int:
        self._transport.send(entry(bytes(data)))
        return len(data)

    def close(self) -> None:
        self._transport.socket.close()


def leads_to_journal(stream: TextIO, journal_stream: str) -> bool:
    """Whether `stream` is what the service manager connected to the journal. `journal_stream`: `$JOURNAL_STREAM`.

    It names one stream, standard error if both are connected (systemd.exec(5)); then another socket beside it is the
    journal's too, but a file is where somebody wants the lines."""
    try:
        ours = os.fstat(stream.fileno())
        if _named(ours) == journal_stream:
            return True
        return S_ISSOCK(ours.st_mode) and _named(os.fstat(_STANDARD_ERROR)) == journal_stream
    except (OSError, ValueError):
        return False


def _named(status: os.stat_result) -> str:
    return f"{status.st_dev}:{status.st_ino}"
