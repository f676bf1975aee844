"""What stands where journald's socket is: a real datagram socket, and a reader of its native protocol."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

Fields = list[tuple[str, str]]

_SEALED = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL


def parsed(datagram: bytes) -> Fields:
    """Both forms of a field: `NAME=value`, and a name, a length and as many bytes (systemd's
    JOURNAL_NATIVE_PROTOCOL)."""
    fields: Fields = []
    rest = datagram
    while rest:
        head, _, rest = rest.partition(b"\n")
        name, equals, value = head.partition(b"=")
        if not equals:
            (length,) = struct.unpack_from("<Q", rest)
            value, rest = rest[8 : 8 + length], rest[8 + length :]
            assert rest[:1] == b"\n"
            rest = rest[1:]
        assert name, "an empty line begins another entry"
        fields.append((name.decode(), value.decode()))
    return fields


class JournalSocket:
    """Bound to `path` until `close`, which takes the path away as well. Nothing is read until it is asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(10)
        self._socket.bind(str(path))
        self.by_descriptor = 0
        """How many entries came as a sealed file, since they were too large for a datagram."""

    def entry(self) -> Fields:
        """The next one; TimeoutError if there is none for ten seconds."""
        data, descriptors, _, _ = socket.recv_fds(self._socket, 1 << 20, 1)
        for descriptor in descriptors:
            assert not data
            assert fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & _SEALED == _SEALED
            with open(descriptor, "rb") as file:
                data = os.pread(file.fileno(), os.fstat(descriptor).st_size, 0)
            self.by_descriptor += 1
        return parsed(data)

    def message(self) -> str:
        return dict(self.entry())["MESSAGE"]

    def until(self, message: str) -> list[dict[str, str]]:
        """All that comes, up to and with the first entry of that message."""
        entries = [dict(self.entry())]
        while entries[-1]["MESSAGE"] != message:
            entries.append(dict(self.entry()))
        return entries

    def close(self) -> None:
        self._socket.close()
        self._path.unlink(missing_ok=True)
