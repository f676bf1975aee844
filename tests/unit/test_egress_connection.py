"""What a connection does when the very first write fails: the one moment at which trying again is safe."""

from __future__ import annotations

import errno
import os

import pytest

from daemon.egress.connection import Connection, Stale
from daemon.egress.exchange import Exchange
from daemon.egress.faults import EgressError, LocalFault


class FailingWire:
    """A quiet socket whose first write fails."""

    descriptor = -1

    def __init__(self, code: int) -> None:
        self._code = code

    def send(self, data: memoryview | bytes) -> int:
        raise OSError(self._code, os.strerror(self._code))

    async def writable(self) -> None:
        raise AssertionError

    async def receive(self) -> bytes:
        raise AssertionError

    def receive_now(self) -> bytes | None:
        raise AssertionError

    def quiet(self) -> bool:
        return True

    def wake(self) -> None:
        raise AssertionError

    def close(self) -> None:
        pass


def fails(code: int, *, reused: bool) -> tuple[type[Exception], Exchange]:
    connection = Connection(FailingWire(code), ("http", "hooks.example", 80), "192.0.2.1:80")
    exchange = Exchange(key=1, tenant="acme", deadline=1.0, reused=reused)
    with pytest.raises((EgressError, LocalFault, Stale)) as caught:
        connection.send(b"POST / HTTP/1.1\r\n\r\n", exchange, 10)
    return caught.type, exchange


@pytest.mark.parametrize("code", [errno.EPIPE, errno.ECONNRESET])
def test_a_kept_connection_that_dies_before_a_byte_left_is_stale_and_no_outcome(code: int) -> None:
    kind, exchange = fails(code, reused=True)
    assert kind is Stale
    assert not exchange.wrote


def test_a_fresh_connection_that_dies_before_a_byte_left_is_send_failed() -> None:
    kind, exchange = fails(errno.EPIPE, reused=False)
    assert kind is EgressError
    assert not exchange.wrote


@pytest.mark.parametrize("code", [errno.ENOBUFS, errno.ENOMEM])
def test_no_buffer_for_the_first_byte_is_our_fault(code: int) -> None:
    kind, exchange = fails(code, reused=False)
    assert kind is LocalFault
    assert not exchange.wrote
