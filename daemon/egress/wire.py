"""Bytes over a connected socket, plain or TLS, on Trio's readiness waits: one system call a step."""

from __future__ import annotations

import socket
import ssl
import struct
from typing import Final, Protocol

import trio

CHUNK: Final = 16 * 1024
# Of Linux's struct tcp_info (<linux/tcp.h>): tcpi_state and tcpi_bytes_received.
_TCP_INFO: Final = struct.Struct("=B127xQ")
_TCP_ESTABLISHED: Final = 1


class CutOff(OSError):
    """The connection was closed, but TLS was not: whoever is between may have cut it (RFC 9112 §9.8)."""


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
        """The next bytes; empty when the peer has closed. Raises CutOff or another OSError, trio.ClosedResourceError
        after `wake`."""
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
        state, received = _tcp_info(self._socket)
        return state == _TCP_ESTABLISHED and received == self._received

    def spoken(self) -> bool:
        try:
            return bool(self._socket.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def wake(self) -> None:
        trio.lowlevel.notify_closing(self._socket)

    def close(self) -> None:
        self._socket.close()


class TlsWire:
    __slots__ = ("_sending", "_socket", "_woken", "descriptor")

    def __init__(self, shaken: ssl.SSLSocket) -> None:
        self._socket = shaken
        self._sending = False
        self.descriptor = shaken.fileno()
        self._woken = False

    def send(self, data: memoryview | bytes) -> int:
        self._sending = False
        try:
            return self._socket.send(data)
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            self._sending = True
            return 0

    async def writable(self) -> None:
        await trio.lowlevel.wait_writable(self._socket)

    async def receive(self) -> bytes:
        await trio.lowlevel.checkpoint_if_cancelled()
        waited = False
        while True:
            try:
                data = self._socket.recv(CHUNK)
            except ssl.SSLWantReadError:
                await trio.lowlevel.wait_readable(self._socket)
            except ssl.SSLWantWriteError:
                # A key update wants to be answered; a sender that waits already will flush it.
                if self._sending:
                    await trio.lowlevel.wait_readable(self._socket)
                else:
                    await trio.lowlevel.wait_writable(self._socket)
            except ssl.SSLEOFError:
                raise CutOff from None
            else:
                if not waited:
                    await self._give_way()
                return data
            waited = True

    async def _give_way(self) -> None:
        # There can be tens of thousands of records of one byte each. What has been read is not lost to a cancellation.
        await trio.lowlevel.cancel_shielded_checkpoint()
        if self._woken:
            raise trio.ClosedResourceError

    def receive_now(self) -> bytes | None:
        try:
            return self._socket.recv(CHUNK)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except ssl.SSLEOFError:
            raise CutOff from None

    def quiet(self) -> bool:
        try:
            self._socket.recv(1)
        except ssl.SSLWantReadError:
            return _tcp_info(self._socket)[0] == _TCP_ESTABLISHED
        except OSError:
            return False
        return False

    def spoken(self) -> bool:
        try:
            return bool(self._socket.recv(1))
        except OSError:
            return False

    def wake(self) -> None:
        # Whoever always finds something to read is never in a wait that could be ended.
        self._woken = True
        trio.lowlevel.notify_closing(self._socket)

    def close(self) -> None:
        # Says goodbye (close_notify) as far as that needs no waiting.
        try:
            self._socket.unwrap()
        except (OSError, ValueError):
            pass
        finally:
            self._socket.close()


def _tcp_info(connected: socket.socket) -> tuple[int, int]:
    """The connection's state, and how many bytes have come over it. The last look before a send must be this one:
    unlike a read or a poll it keeps the interpreter's lock, for which other threads could make us wait, and the peer
    close, meanwhile."""
    return _TCP_INFO.unpack(connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size))
