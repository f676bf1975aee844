"""A TLS wire and, at its far end, a server that speaks byte by byte as a test wants."""

from __future__ import annotations

import socket
import ssl
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import trio
import trustme
from tls_records import TLS12_CIPHER, Sealer12, Sealer13

from daemon.egress.tls import handshake, harden
from daemon.egress.tls_wire import TlsWire
from daemon.egress.turn_budget import TurnBudget

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

AUTHORITY = trustme.CA()
TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


class Unhurried(TurnBudget):
    """Whatever a busy machine adds to the time it takes, no turn is used up."""

    def spend(self, since: float) -> None:
        pass


class Peer:
    """A TLS server without a socket, so that a test decides when what it wrote arrives."""

    def __init__(self, far: trio.socket.SocketType, tickets: int, version: ssl.TLSVersion, keys: Path) -> None:
        serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        serving.minimum_version = serving.maximum_version = version
        serving.set_ciphers(TLS12_CIPHER)
        serving.num_tickets = tickets
        serving.keylog_filename = str(keys)
        AUTHORITY.issue_cert("hooks.example").configure_cert(serving)
        self._far = far
        self._keys = keys
        self._server_random = b""
        self._arrived, self._leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = serving.wrap_bio(self._arrived, self._leaving, server_side=True)

    async def shake(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                self._arrived.write(await self._far.recv(65536))
            else:
                return await self._flush()

    async def send_in_single_bytes(self, data: bytes) -> None:
        for place in range(len(data)):
            self._tls.write(data[place : place + 1])
        await self._flush()

    async def send_raw(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[await self._far.send(left) :]

    async def read(self) -> bytes:
        """What the wire sent, as soon as something has come."""
        while True:
            try:
                return self._tls.read(65536)
            except ssl.SSLWantReadError:
                self._arrived.write(await self._far.recv(65536))

    def sealer13(self) -> Sealer13:
        return Sealer13(self._keys)

    def sealer12(self) -> Sealer12:
        return Sealer12(self._keys, self._server_random)

    async def _flush(self) -> None:
        data = self._leaving.read()
        # The first that a server says is its ServerHello: headers of 5 and 4 bytes, a version, its random.
        self._server_random = self._server_random or data[11:43]
        await self.send_raw(data)


@asynccontextmanager
async def connected(
    *, tickets: int = 2, version: ssl.TLSVersion = TLS13, tcp: bool = False, budget: TurnBudget | None = None
) -> AsyncIterator[tuple[TlsWire, Peer]]:
    """Unless it is TCP, what was sent has arrived."""
    budget = budget or Unhurried()
    trusting = ssl.create_default_context()
    AUTHORITY.configure_trust(trusting)
    with tempfile.TemporaryDirectory() as folder:
        near, far = tcp_pair() if tcp else socket.socketpair()
        near.setblocking(False)
        with trio.socket.from_stdlib_socket(far) as end:
            peer = Peer(end, tickets, version, Path(folder, "keys"))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(peer.shake)
                wire = TlsWire(await handshake(near, harden(trusting), "hooks.example", budget), budget)
            try:
                yield wire, peer
            finally:
                wire.close()


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        near = socket.create_connection(listening.getsockname())
        return near, listening.accept()[0]
