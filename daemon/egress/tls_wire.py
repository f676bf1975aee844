"""Bytes over TLS. Records that hold no data are passed over, a few at a time and not for ever."""

from __future__ import annotations

import ssl
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Final

import trio

from daemon.egress.tls_engine import RECORD_COST
from daemon.egress.wire import CHUNK, TCP_ESTABLISHED, Chatter, tcp_info

if TYPE_CHECKING:
    from daemon.egress.tls_engine import TlsEngine
    from daemon.egress.turn_budget import TurnBudget

# Encrypted at once, and held here while the peer does not read.
_PIECE: Final = 64 * 1024
# Session tickets, key updates and the like cost us up to a hundred times what data costs. Servers send a few of them,
# of some hundred bytes, rarely thousands.
_MAX_CHATTER: Final = 16 * 1024
_LITTLE_CHATTER: Final = 4 * 1024
# TLS 1.2 shows what a record holds. Thousands of wishes to renegotiate fit into a long one, each to be answered.
_DATA: Final = 23
_LONGEST_BUT_DATA: Final = 512


class TlsWire:
    """See `Wire`."""

    __slots__ = ("_budget", "_chatter", "_engine", "_sealed", "_woken", "descriptor")

    def __init__(self, engine: TlsEngine, budget: TurnBudget) -> None:
        self._engine = engine
        self._budget = budget
        self._chatter = 0
        self._sealed = 0
        self._woken = False
        self.descriptor = engine.socket.fileno()

    def send(self, data: memoryview | bytes) -> int:
        """What does not fit is encrypted already: it goes first next time, and only then counts as sent."""
        engine = self._engine
        sent = 0
        try:
            while engine.push():
                sent += self._sealed
                self._sealed = 0
                if sent == len(data):
                    break
                self._sealed = engine.tls.write(data[sent : sent + _PIECE])
                # Whoever is asked something may say some more.
                self._chatter = 0
        except OSError:
            if not sent:
                raise
        return sent

    async def writable(self) -> None:
        await trio.lowlevel.wait_writable(self._engine.socket)

    async def receive(self) -> bytes:
        await trio.lowlevel.checkpoint_if_cancelled()
        waited = False
        while True:
            if self._budget.used_up:
                await self._budget.turn()
                self._check_awake()
            record = self._engine.take()
            if record is None:
                await trio.lowlevel.wait_readable(self._engine.socket)
                waited = True
                continue
            data = self._open(record)
            if data is not None:
                if not waited:
                    await self._give_way()
                return data
            if self._chatter > _LITTLE_CHATTER:
                await self._give_way()
                waited = True

    async def _give_way(self) -> None:
        # There can be tens of thousands of records of one byte each. What has been read is not lost to a cancellation.
        await trio.lowlevel.cancel_shielded_checkpoint()
        self._check_awake()

    def _check_awake(self) -> None:
        if self._woken:
            raise trio.ClosedResourceError

    def receive_now(self) -> bytes | None:
        while not self._budget.used_up and (record := self._engine.take()) is not None:
            data = self._open(record)
            if data is not None or self._chatter > _LITTLE_CHATTER:
                return data
        return None

    def quiet(self) -> bool:
        # Servers send their tickets before the response: what comes after it is a goodbye, or nothing we want to open.
        state, received = tcp_info(self._engine.socket)
        return state == TCP_ESTABLISHED and received == self._engine.received and self._engine.drained

    def spoken(self) -> bool:
        # Not looked at in a turn that is used up: then it has crossed the request.
        try:
            data = self.receive_now()
        except Chatter:
            return True
        except OSError:
            return False
        return bool(data) or self._chatter > _LITTLE_CHATTER

    def wake(self) -> None:
        # Whoever always finds something to read is never in a wait that could be ended.
        self._woken = True
        trio.lowlevel.notify_closing(self._engine.socket)

    def close(self) -> None:
        self._engine.close()

    def _open(self, record: bytes) -> bytes | None:
        """The data it holds; empty for the peer's goodbye, None if it holds none. Raises Chatter, ssl.SSLError."""
        engine = self._engine
        if record[0] != _DATA and len(record) > _LONGEST_BUT_DATA:
            raise Chatter
        engine.feed(record)
        began = perf_counter()
        try:
            data = engine.tls.read(CHUNK)
        except ssl.SSLWantReadError:
            data = None
            self._budget.spend(began)
            self._chatter += len(record) + RECORD_COST
            if self._chatter > _MAX_CHATTER:
                raise Chatter from None
        # A key update wants to be answered. It may wait for the next request, and what has come is good without.
        with suppress(OSError):
            engine.push()
        return data
