"""Bytes over a connected socket, on Trio's readiness waits: one system call a step. For TLS see `TlsWire`."""

from __future__ import annotations

import socket
import struct
from typing import Final, Protocol

import trio

CHUNK: Final = 16 * 1024
# Of Linux's struct tcp_info (<linux/tcp.h>): tcpi_state and tcpi_bytes_received.
_TCP_INFO: Final = struct.Struct("=B127xQ")
TCP_ESTABLISHED: Final = 1


class CutOff(OSError):
    """The connection was closed, but TLS was not: whoever is between may have cut it (RFC 9112 §9.8)."""


class Chatter(OSError):
    """More came over TLS than anybody needs that is no data: session tickets, key updates, wishes to renegotiate."""


class Wire(Protocol):
    """One connected socket. Cancelling a wait leaves it usable for `close` only."""

    @property
    def descriptor(self) -> int:
        """Readable once `receive_now` is worth a try."""
        ...

    def send(self, data: memoryview | bytes) -> int:
        """Sends what fits without waiting; 0 if nothing does. Raises OSError."""
        ...

    async def writable(self) -> None:
        """Waits until `send` is worth another try."""
        ...

    async def receive(self) -> bytes:
        """The next bytes; empty when the peer has closed. Raises CutOff, Chatter or another OSError,
        trio.ClosedResourceError after `wake`."""
        ...

    def receive_now(self) -> bytes | None:
        """As `receive`, without waiting; None if there is nothing yet, or if it takes more than a read to get it."""
        ...

    def wake(self) -> None:
        """Ends the wait that is under way, if one is. Only `close` is left then."""
        ...

    def quiet(self) -> bool:
        """Whether nothing has come since the last response: neither the peer's close nor bytes nobody asked for."""
        ...

    def spoken(self) -> bool:
        """Whether bytes have come over a new connection already. If so, only `close` is left."""
        ...

    def close(self) -> None: ...


class PlainWire:
    __slots__ = ("_received", "_socket", "descriptor")

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._received = 0
        self.descriptor = connected.fileno()

    def send(self, data: memoryview | bytes) -> int:
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0

    async def writable(self) -> None:
        await trio.lowlevel.wait_writable(self._socket)

    async def receive(self) -> bytes:
        # The answer is never there yet when we ask, so waiting first saves a call.
        while True:
            await trio.lowlevel.wait_readable(self._socket)
            if (data := self.receive_now()) is not None:
                return data

    def receive_now(self) -> bytes | None:
        try:
            data = self._socket.recv(CHUNK)
        except BlockingIOError:
            return None
        self._received += len(data)
        return data

    def quiet(self) -> bool:
        state, received = tcp_info(self._socket)
        return state == TCP_ESTABLISHED and received == self._received

    def spoken(self) -> bool:
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def wake(self) -> None:
        trio.lowlevel.notify_closing(self._socket)

    def close(self) -> None:
        self._socket.close()


def tcp_info(connected: socket.socket) -> tuple[int, int]:
    """The connection's state, and how many bytes have come over it. The last look before a send must be this one:
    unlike a read or a poll it keeps the interpreter's lock, for which other threads could make us wait, and the peer
    close, meanwhile."""
    return _TCP_INFO.unpack(connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size))
