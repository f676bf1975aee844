"""TLS that arrives in a thousand tiny records: whoever reads it lets others have their turn."""

from __future__ import annotations

import socket
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio
import trustme

from daemon.egress.tls import handshake, harden
from daemon.egress.wire import TlsWire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

AUTHORITY = trustme.CA()
RECORDS = 1000


class Peer:
    """A TLS server without a socket, so that a test decides when what it wrote arrives."""

    def __init__(self, far: trio.socket.SocketType) -> None:
        serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        AUTHORITY.issue_cert("hooks.example").configure_cert(serving)
        self._far = far
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

    async def _flush(self) -> None:
        left = memoryview(self._leaving.read())
        while left:
            left = left[await self._far.send(left) :]


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[TlsWire, Peer]]:
    trusting = ssl.create_default_context()
    AUTHORITY.configure_trust(trusting)
    near, far = socket.socketpair()
    near.setblocking(False)
    with trio.socket.from_stdlib_socket(far) as end:
        peer = Peer(end)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.shake)
            shaken = await handshake(near, harden(trusting), "hooks.example")
        with shaken:
            yield TlsWire(shaken), peer


async def test_reading_tiny_records_gives_others_a_turn_between_two_of_them() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with connected() as (wire, peer), trio.open_nursery() as nursery:
        await peer.send_in_single_bytes(b"a" * RECORDS)
        nursery.start_soon(others)
        assert b"".join([await wire.receive() for _ in range(RECORDS)]) == b"a" * RECORDS
        nursery.cancel_scope.cancel()
    # Who comes first in a round is drawn by lot.
    assert turns >= RECORDS - 10


async def test_a_wait_that_is_ended_ends_though_there_is_always_more_to_read() -> None:
    ended = trio.Event()

    async with connected() as (wire, peer):
        await peer.send_in_single_bytes(b"a" * RECORDS)

        async def read() -> None:
            try:
                for _ in range(RECORDS):
                    await wire.receive()
            except trio.ClosedResourceError:
                ended.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await trio.lowlevel.checkpoint()
            wire.wake()
    assert ended.is_set()


async def test_what_has_been_read_when_it_is_cancelled_is_not_lost() -> None:
    data, got = bytes(range(100)), b""

    async with connected() as (wire, peer):
        await peer.send_in_single_bytes(data)

        async def read() -> None:
            nonlocal got
            while True:
                got += await wire.receive()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            for _ in range(10):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        assert 0 < len(got) < len(data)
        assert got + await wire.receive() == data[: len(got) + 1]


async def test_session_tickets_are_nothing_that_was_said() -> None:
    async with connected() as (wire, peer):
        assert not wire.spoken()
        await peer.send_in_single_bytes(b"a")
        assert wire.spoken()
