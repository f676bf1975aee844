"""What a connection does when the very first write fails: the one moment at which trying again is safe."""

from __future__ import annotations

import errno
import os
import select
import socket

import pytest

from daemon.egress.connection import Connection, Stale
from daemon.egress.exchange import Exchange
from daemon.egress.faults import EgressError, LocalFault
from daemon.egress.wire import Chatter, PlainWire


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

    def spoken(self) -> bool:
        return False

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


def test_what_a_receiver_says_before_it_is_asked_is_no_response() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        near = socket.create_connection(listening.getsockname())
        near.setblocking(False)
        far, _ = listening.accept()
        with far:
            far.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            select.select([near], [], [])
            connection = Connection(PlainWire(near), ("http", "hooks.example", 80), "192.0.2.1:80")
            exchange = Exchange(key=1, tenant="acme", deadline=1.0)
            with pytest.raises(EgressError) as caught:
                connection.send(b"POST / HTTP/1.1\r\n\r\n", exchange, 10)
            connection.close()
            # Nothing came but the reset that unread bytes turn a close into.
            with pytest.raises(ConnectionResetError):
                far.recv(100)
    assert caught.value.code == "invalid_response"
    assert "before" in caught.value.detail
    assert (exchange.wrote, exchange.status) == (False, 0)


class ChattingWire(FailingWire):
    """Takes a request and answers with what is no data, without end."""

    def send(self, data: memoryview | bytes) -> int:
        return len(data)

    def receive_now(self) -> bytes | None:
        raise Chatter


def test_an_answer_without_end_that_is_no_data_is_no_response() -> None:
    connection = Connection(ChattingWire(0), ("https", "hooks.example", 443), "192.0.2.1:443")
    exchange = Exchange(key=1, tenant="acme", deadline=1.0)
    connection.send(b"POST / HTTP/1.1\r\n\r\n", exchange, 10)
    with pytest.raises(EgressError) as caught:
        connection.read(exchange)
    assert caught.value.code == "invalid_response"
    assert "TLS" in caught.value.detail
