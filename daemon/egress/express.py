"""Requests over kept connections. Nearly all deliveries of a busy webhook are such, and most of them are one write and
one read: they need no task of their own. Whatever is not over with that one read is finished by whoever asked for it,
in a task.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from daemon.egress.connection import Late, Stale
from daemon.egress.faults import too_late

if TYPE_CHECKING:
    from daemon.egress.connection import Connection
    from daemon.egress.deadlines import Deadlines
    from daemon.egress.exchange import Exchange
    from daemon.egress.idle import IdleConnections
    from daemon.egress.readiness import Readiness
    from daemon.egress.response import ResponseReader
    from daemon.egress.url import ParsedTarget


class Caller(Protocol):
    """Exactly one of these is called for a flight, once, unless it was cut."""

    def answered(self, reader: ResponseReader) -> None:
        """A final head was read, and the body or what may be read of it. The reader is good until this returns."""
        ...

    def failed(self, error: Exception) -> None:
        """An EgressError, or a bug of ours, which must end this one request and nothing else."""
        ...

    def unfinished(self) -> None:
        """One read was not enough: await `Express.finish`, or `cut` the flight."""
        ...


class Flight:
    """One request under way on a kept connection."""

    __slots__ = ("caller", "connection", "exchange", "express", "target", "tick", "unsent")

    def __init__(
        self, express: Express, connection: Connection, target: ParsedTarget, exchange: Exchange, caller: Caller
    ) -> None:
        self.express = express
        self.connection = connection
        self.target = target
        self.exchange = exchange
        self.caller = caller
        self.unsent: memoryview | None = None
        self.tick = 0

    def expire(self) -> None:
        """The attempt's deadline has passed while its answer was waited for."""
        self.cut()
        self.caller.failed(too_late(self.exchange.phase, self.target.host))

    def cut(self) -> None:
        """Give it up: its connection is closed, and nobody is told. Not while `finish` runs."""
        self.express.release(self)
        self.connection.close()
        self.exchange.total = self.exchange.elapsed()


class Express:
    """`keep`: bytes of a response's body that are kept. `reused` and `stale` count since the start."""

    def __init__(self, readiness: Readiness, idle: IdleConnections, deadlines: Deadlines, keep: int) -> None:
        self._readiness = readiness
        self._idle = idle
        self._deadlines = deadlines
        self._keep = keep
        self.reused = 0
        self.stale = 0

    def launch(self, target: ParsedTarget, message: bytes, exchange: Exchange, caller: Caller) -> Flight | None:
        """Send `message` over a kept connection of `exchange.key` to the target's origin, and tell `caller` later what
        comes of it, unless part of it is left `unsent`: then it is for `finish`. None, and nothing sent, if there is no
        such connection that still lives."""
        while (connection := self._idle.take(exchange.key, target.origin)) is not None:
            exchange.reused = True
            exchange.remote_address = connection.remote
            try:
                sent = connection.send(message, exchange, self._keep)
            except Stale:
                self.stale += 1
                connection.close()
                continue
            self.reused += 1
            flight = Flight(self, connection, target, exchange, caller)
            if sent == len(message):
                connection.flight = flight
                flight.tick = self._deadlines.watch(flight, exchange.deadline)
            else:
                flight.unsent = memoryview(message)[sent:]
                connection.unwatch()
            return flight
        exchange.reused = False
        exchange.remote_address = None
        return None

    async def finish(self, flight: Flight) -> ResponseReader:
        """What is left of a flight that was `unfinished`. Raises EgressError; closes the connection if it does, or is
        cancelled."""
        connection, exchange = flight.connection, flight.exchange
        try:
            await connection.finish(flight.unsent, exchange, self._deadlines)
        except Late:
            connection.close()
            raise too_late(exchange.phase, flight.target.host) from None
        except BaseException:
            connection.close()
            raise
        finally:
            exchange.total = exchange.elapsed()
        self.settle(connection, exchange)
        return connection.reader

    def settle(self, connection: Connection, exchange: Exchange) -> None:
        """The response has been read: keep the connection if another request may follow on it, else close it."""
        reader = connection.reader
        exchange.truncated = not reader.complete or reader.seen > self._keep
        if not connection.reusable:
            connection.close()
            return
        if not connection.watched:
            try:
                connection.watch(self._readiness, partial(self._readable, connection))
            except OSError:
                connection.close()
                return
        self._idle.put(exchange.key, connection, reader.hint)

    def release(self, flight: Flight) -> None:
        """The connection is no longer anybody's but the flight's: nothing that comes over it is looked at here."""
        if flight.connection.flight is flight:
            flight.connection.flight = None
            self._deadlines.forget(flight, flight.tick)
        flight.connection.unwatch()

    def _readable(self, connection: Connection) -> None:
        flight = connection.flight
        if flight is None:
            if not connection.quiet():
                self.stale += 1
                self._idle.discard(connection)
            return
        exchange = flight.exchange
        try:
            complete = connection.read(exchange)
        except Exception as error:
            flight.cut()
            flight.caller.failed(error)
            return
        if not complete:
            self.release(flight)
            flight.caller.unfinished()
            return
        self._deadlines.forget(flight, flight.tick)
        connection.flight = None
        self.settle(connection, exchange)
        exchange.total = exchange.elapsed()
        flight.caller.answered(connection.reader)
