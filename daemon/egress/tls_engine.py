"""TLS between a socket and us, one record at a time.

OpenSSL, given the socket, reads on for as long as records come that hold no data: session tickets, key updates. One
read could take as long as the peer liked. So it gets no socket, and whoever calls decides when it sees the next record.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from daemon.egress.wire import CutOff

if TYPE_CHECKING:
    import socket

# What a record counts for beside its bytes, where they are bounded: it may cost a new key.
RECORD_COST: Final = 512
_HEADER: Final = 5
_VERSION_MAJOR: Final = 3
# A header, 16 KiB and what encryption may add to them in TLS 1.2 (RFC 5246 §6.2.3); less in TLS 1.3.
_LONGEST: Final = _HEADER + (1 << 14) + 2048


class TlsEngine:
    """Owns `connected`. `tls` is for the caller to read from and write to; nothing of it waits or touches the socket.
    `received` counts the bytes that came over the socket."""

    __slots__ = ("_buffer", "_incoming", "_leaving", "_outgoing", "received", "socket", "tls")

    def __init__(self, connected: socket.socket, context: ssl.SSLContext, host: str) -> None:
        self.socket = connected
        self.received = 0
        self._buffer = b""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._leaving = b""
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    @property
    def drained(self) -> bool:
        """Whether `feed` was given all that came."""
        return not self._buffer

    def take(self) -> bytes | None:
        """The next record that is there whole; None if none is. Raises CutOff at the end, or another OSError."""
        record = self._cut()
        if record is None:
            try:
                data = self.socket.recv(_LONGEST)
            except BlockingIOError:
                return None
            if not data:
                raise CutOff
            self.received += len(data)
            self._buffer += data
            record = self._cut()
        return record

    def feed(self, record: bytes) -> None:
        """Lets `tls` see it."""
        self._incoming.write(record)

    def push(self) -> bool:
        """Sends what `tls` has written, as far as that needs no waiting. Whether that was all of it. Raises OSError."""
        if not self._leaving:
            if not self._outgoing.pending:
                return True
            self._leaving = self._outgoing.read()
        try:
            sent = self.socket.send(self._leaving)
        except BlockingIOError:
            return False
        self._leaving = self._leaving[sent:]
        return not self._leaving and not self._outgoing.pending

    def close(self) -> None:
        """Says goodbye (close_notify), or what was wrong, as far as that needs no waiting."""
        with suppress(OSError, ValueError):
            self.tls.unwrap()
        with suppress(OSError):
            self.push()
        self.socket.close()

    def _cut(self) -> bytes | None:
        buffer = self._buffer
        if len(buffer) < _HEADER:
            return None
        length = _HEADER + int.from_bytes(buffer[3:5], "big")
        if length > _LONGEST or buffer[1] != _VERSION_MAJOR:
            # No TLS at all: `tls` will say so.
            length = len(buffer)
        if len(buffer) < length:
            return None
        self._buffer = buffer[length:]
        return buffer[:length]
