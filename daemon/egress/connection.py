"""One HTTP/1.1 connection: sends a request, reads its response, one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from daemon.egress.faults import EgressError, LocalFault, is_local
from daemon.egress.response import Malformed, ResponseReader
from daemon.egress.wire import Chatter, CutOff

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.egress.deadlines import Deadlines
    from daemon.egress.exchange import Exchange
    from daemon.egress.express import Flight
    from daemon.egress.readiness import Readiness
    from daemon.egress.wire import Wire

Origin = tuple[str, str, int]

MAX_BODY: Final = 64 * 1024
# What may arrive for such a body: chunk sizes, chunk extensions and trailers can be endless while the body is not.
MAX_FRAMED_BODY: Final = 2 * MAX_BODY
BODY_SECONDS: Final = 2.0


class Stale(Exception):
    """A kept connection turned out to be closed before a byte of the request left."""


class Late(Exception):
    """The attempt's deadline passed before a final head was read."""


class Connection:
    """Owns its wire. `origin` (scheme, host, port) and `remote` (`host:port`) never change; `key`, `expires` and
    `flight` belong to whoever keeps it between requests. After a failure or a cancellation only `close` is left."""

    __slots__ = ("_readiness", "_unsent", "_wire", "expires", "flight", "key", "origin", "reader", "remote")

    def __init__(self, wire: Wire, origin: Origin, remote: str) -> None:
        self._wire = wire
        self._unsent = False
        self._readiness: Readiness | None = None
        self.origin = origin
        self.remote = remote
        self.reader = ResponseReader()
        self.key = 0
        self.expires = 0.0
        self.flight: Flight | None = None

    @property
    def reusable(self) -> bool:
        """Whether another request may follow: this one was sent and its response read, to the end and in bounds."""
        return self.reader.reusable and self.reader.seen <= MAX_BODY and not self._unsent

    @property
    def watched(self) -> bool:
        return self._readiness is not None

    def watch(self, readiness: Readiness, ready: Callable[[], None]) -> None:
        """Have `ready` called whenever there is something to read, until `unwatch` or `close`. Raises OSError."""
        readiness.add(self._wire.descriptor, ready)
        self._readiness = readiness

    def unwatch(self) -> None:
        if self._readiness is not None:
            self._readiness.remove(self._wire.descriptor)
            self._readiness = None

    def close(self) -> None:
        self.unwatch()
        self._wire.close()
        self.reader.close()

    def expire(self) -> None:
        self._wire.wake()

    def quiet(self) -> bool:
        """Whether nothing has come since the last response: neither the peer's close nor bytes nobody asked for."""
        return self._wire.quiet()

    def send(self, message: bytes, exchange: Exchange, keep: int) -> int:
        """Begins a request: sends what fits of `message` without waiting and returns how much that was; `keep` bytes of
        the response's body will be kept.

        Raises Stale, EgressError or LocalFault if not one byte was written."""
        wire = self._wire
        self.reader.begin(keep)
        exchange.phase = "send"
        if exchange.reused:
            if not wire.quiet():
                raise Stale
        elif wire.spoken():
            # RFC 9112 §9.2: it must not be taken for a response. What crosses the request on its way is, still.
            raise EgressError("invalid_response", "The receiver spoke before it was asked: that is no response.")
        try:
            sent = wire.send(message)
        except OSError as error:
            if exchange.reused:
                raise Stale from None
            if is_local(error):
                raise LocalFault(f"The request could not be sent: {error.strerror}.") from None
            raise EgressError("send_failed", f"{self.remote} closed the connection before the request.") from None
        exchange.wrote = True
        if sent == len(message):
            exchange.phase = "head"
        return sent

    def read(self, exchange: Exchange) -> bool:
        """Takes in what has come of the response to a request that was sent whole. True if that was all of it; if not,
        `finish` reads the rest. Raises EgressError as `finish` does."""
        try:
            data = self._wire.receive_now()
        except CutOff:
            data = b""
        except OSError as error:
            raise self._broken(exchange, error) from None
        if data is not None:
            self._take(data, exchange)
        return self.reader.complete

    async def finish(self, unsent: memoryview | None, exchange: Exchange, deadlines: Deadlines) -> None:
        """Sends what is `unsent` of the message and reads what is left of the response into `reader`.

        Returns once the final head is read and the body is too, or its bounds are reached (64 KiB, 2 s, the attempt's
        deadline). Raises EgressError or Late before that head."""
        if unsent:
            with trio.CancelScope(deadline=exchange.deadline):
                await self._send_and_read_head(unsent, exchange)
            if not self.reader.status:
                raise Late
        elif not self.reader.status:
            tick = deadlines.watch(self, exchange.deadline)
            try:
                await self._read_head(exchange)
            except trio.ClosedResourceError:
                raise Late from None
            finally:
                deadlines.forget(self, tick)
        if not self.reader.complete:
            exchange.phase = "body"
            with trio.CancelScope(deadline=min(exchange.deadline, trio.current_time() + BODY_SECONDS)):
                await self._read_body()

    async def _read_head(self, exchange: Exchange) -> None:
        reader = self.reader
        receive = self._wire.receive
        while not reader.status:
            try:
                data = await receive()
            except CutOff:
                data = b""
            except OSError as error:
                raise self._broken(exchange, error) from None
            self._take(data, exchange)

    def _take(self, data: bytes, exchange: Exchange) -> None:
        """What came while a final head was waited for."""
        if not data:
            raise self._lost(exchange, "The receiver closed the connection")
        if exchange.first_byte is None:
            exchange.first_byte = exchange.elapsed()
        try:
            self.reader.feed(data)
        except Malformed as error:
            raise EgressError("invalid_response", f"The receiver's response is not acceptable: {error}.") from None
        exchange.status = self.reader.status

    def _broken(self, exchange: Exchange, error: OSError) -> EgressError:
        if isinstance(error, Chatter):
            return EgressError(
                "invalid_response",
                "The receiver's response is not acceptable: too much came over TLS that is no data "
                "(session tickets, key updates).",
            )
        return self._lost(exchange, f"The connection was lost ({_reason(error)})")

    def _lost(self, exchange: Exchange, how: str) -> EgressError:
        if exchange.phase == "send":
            return EgressError("send_failed", f"{how} before the whole request was sent.")
        if exchange.first_byte is None:
            return EgressError("connection_lost", f"{how} without answering.")
        return EgressError("connection_lost", f"{how} in the middle of the response's head.")

    async def _send_and_read_head(self, rest: memoryview, exchange: Exchange) -> None:
        """An answer may come before the request is sent (413, say): it counts, and nothing more is sent."""
        self._unsent = True
        failure: EgressError | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send_rest, rest, exchange)
            try:
                await self._read_head(exchange)
            except EgressError as error:
                failure = error
            nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def _send_rest(self, rest: memoryview, exchange: Exchange) -> None:
        wire = self._wire
        while rest:
            await wire.writable()
            try:
                rest = rest[wire.send(rest) :]
            except OSError:
                # What the receiver said before it stopped listening may be there still: reading decides.
                return
        self._unsent = False
        exchange.phase = "head"

    async def _read_body(self) -> None:
        reader = self.reader
        received = 0
        while not (reader.complete or reader.broken or reader.seen > MAX_BODY or received > MAX_FRAMED_BODY):
            try:
                data = await self._wire.receive()
            except OSError:
                return
            if not data:
                reader.end()
                return
            received += len(data)
            reader.feed(data)


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
