"""Sockets that are watched without a task each."""

from __future__ import annotations

import socket

import pytest
import trio

from daemon.egress.readiness import Readiness


async def test_whoever_has_something_to_read_is_called_until_it_is_read_or_taken_away() -> None:
    calls: list[str] = []
    near, far = socket.socketpair()
    other, silent = socket.socketpair()
    with near, far, other, silent:
        readiness = Readiness()

        def ready() -> None:
            calls.append("near")
            if len(calls) == 3:
                near.recv(1)

        readiness.add(near.fileno(), ready)
        readiness.add(other.fileno(), lambda: calls.append("other"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(readiness.run)
            far.send(b"x")
            await trio.testing.wait_all_tasks_blocked(0.002)
            assert calls == ["near"] * 3
            readiness.remove(near.fileno())
            readiness.remove(near.fileno())
            far.send(b"x")
            await trio.testing.wait_all_tasks_blocked(0.002)
            assert calls == ["near"] * 3
            assert len(readiness) == 1
            nursery.cancel_scope.cancel()
        readiness.close()


async def test_one_that_another_takes_away_in_the_same_turn_is_not_called() -> None:
    called: list[int] = []
    pairs = [socket.socketpair() for _ in range(5)]
    readiness = Readiness()

    def ready(number: int) -> None:
        called.append(number)
        for near, _ in pairs:
            readiness.remove(near.fileno())

    for number, (near, far) in enumerate(pairs):
        readiness.add(near.fileno(), lambda number=number: ready(number))
        far.send(b"x")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(readiness.run)
        await trio.testing.wait_all_tasks_blocked(0.002)
        nursery.cancel_scope.cancel()
    assert len(called) == 1
    readiness.close()
    for near, far in pairs:
        near.close()
        far.close()


def test_once_closed_it_takes_no_more() -> None:
    near, far = socket.socketpair()
    with near, far:
        readiness = Readiness()
        readiness.close()
        with pytest.raises(OSError, match="descriptor"):
            readiness.add(near.fileno(), lambda: None)
