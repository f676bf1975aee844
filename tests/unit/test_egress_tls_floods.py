"""Receivers that say over TLS, without end, what is no data: each turn of the event loop takes in little of it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
import trio
from tls_peer import AUTHORITY, TLS12, connected
from tls_records import DATA, HANDSHAKE, HELLO_REQUEST, TICKET

from daemon.egress.faults import EgressError
from daemon.egress.tls import client_context, handshake
from daemon.egress.turn_budget import TurnBudget
from daemon.egress.wire import Chatter

if TYPE_CHECKING:
    from daemon.egress.tls_wire import TlsWire

LARGEST = 1 << 14


def dense(message: bytes) -> bytes:
    """As many of it as a record holds."""
    return message * (LARGEST // len(message))


async def until_chatter(wire: TlsWire) -> int:
    """Reads until that is refused. How many turns others had meanwhile."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(others)
        with pytest.raises(Chatter):
            await wire.receive()
        nursery.cancel_scope.cancel()
    return turns


async def test_a_flood_of_session_tickets_ends_the_wait_and_others_have_their_turns_before() -> None:
    async with connected(tickets=400) as (wire, peer):
        await peer.send_in_single_bytes(b"a")
        assert await until_chatter(wire) >= 10


async def test_a_flood_of_key_updates_ends_the_wait_and_others_have_their_turns_before() -> None:
    async with connected(tickets=0) as (wire, peer):
        sealer = peer.sealer13()
        await peer.send_raw(b"".join([sealer.update() for _ in range(2000)]))
        assert await until_chatter(wire) >= 20


async def test_one_record_full_of_session_tickets_is_enough() -> None:
    async with connected(tickets=0) as (wire, peer):
        sealer = peer.sealer13()
        await peer.send_raw(sealer.seal(HANDSHAKE, dense(TICKET)))
        with pytest.raises(Chatter):
            await wire.receive()


async def test_one_look_at_a_kept_connection_opens_little() -> None:
    async with connected(tickets=20) as (wire, peer):
        await peer.send_in_single_bytes(b"a")
        looks = [wire.receive_now() for _ in range(16)]
        assert looks[:10] == [None] * 10
        assert b"a" in looks


async def test_a_few_tickets_before_each_response_are_no_flood() -> None:
    async with connected(tickets=0) as (wire, peer):
        sealer = peer.sealer13()
        for _ in range(100):
            assert wire.send(b"request") == 7
            await peer.send_raw(sealer.seal(HANDSHAKE, TICKET) + sealer.seal(HANDSHAKE, TICKET))
            await peer.send_raw(sealer.seal(DATA, b"response"))
            assert await wire.receive() == b"response"


async def test_a_key_update_is_answered_and_changes_nothing() -> None:
    async with connected(tickets=0) as (wire, peer):
        sealer = peer.sealer13()
        for number in range(3):
            assert wire.send(b"%d" % number) == 1
            assert await peer.read() == b"%d" % number
            await peer.send_raw(sealer.update() + sealer.seal(DATA, b"ok"))
            assert await wire.receive() == b"ok"


async def test_a_receiver_that_floods_before_it_was_asked_has_spoken() -> None:
    async with connected(tickets=400) as (wire, _):
        assert wire.spoken()


async def test_whatever_comes_over_an_idle_connection_is_not_opened_and_ends_it() -> None:
    async with connected(tickets=0, tcp=True) as (wire, peer):
        await peer.send_in_single_bytes(b"a")
        assert await wire.receive() == b"a"
        assert wire.quiet()
        await peer.send_raw(peer.sealer13().seal(HANDSHAKE, dense(TICKET)))
        await trio.lowlevel.wait_readable(wire.descriptor)
        assert not wire.quiet()


async def test_wishes_to_renegotiate_are_refused_one_by_one_but_not_by_the_thousand() -> None:
    async with connected(version=TLS12) as (wire, peer):
        sealer = peer.sealer12()
        await peer.send_raw(sealer.seal(HANDSHAKE, HELLO_REQUEST) + sealer.seal(DATA, b"ok"))
        assert await wire.receive() == b"ok"
        await peer.send_raw(sealer.seal(HANDSHAKE, dense(HELLO_REQUEST)))
        with pytest.raises(Chatter):
            await wire.receive()


async def test_a_handshake_without_end_fails_and_says_so() -> None:
    near, far = socket.socketpair()
    near.setblocking(False)
    context = client_context()
    AUTHORITY.configure_trust(context)
    # OpenSSL passes them over, as TLS 1.2 wants it.
    record = b"\x16\x03\x03\x40\x00" + dense(HELLO_REQUEST)

    async def flood(end: trio.socket.SocketType) -> None:
        while True:
            await end.send(record * 4)

    with trio.socket.from_stdlib_socket(far) as end, trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood, end)
            with pytest.raises(EgressError) as caught:
                await handshake(near, context, "hooks.example", TurnBudget())
            nursery.cancel_scope.cancel()
    assert caught.value.code == "tls_failed"
    assert "no end" in caught.value.detail
