"""TLS that arrives in a thousand tiny records: whoever reads it lets others have their turn."""

from __future__ import annotations

import trio
from tls_peer import connected

RECORDS = 1000


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


async def test_what_does_not_fit_is_sent_once_there_is_room_and_not_before_it_counts_as_sent() -> None:
    message = bytes(range(256)) * 32 * 1024
    async with connected() as (wire, peer):
        left = memoryview(message)
        while sent := wire.send(left):
            left = left[sent:]
        assert 0 < len(left) < len(message)
        got = bytearray()

        async def write(left: memoryview) -> None:
            while left:
                await wire.writable()
                left = left[wire.send(left) :]

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write, left)
            while len(got) < len(message):
                got += await peer.read()
        assert got == message
