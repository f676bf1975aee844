"""One attempt to bring one delivery to its webhook: sign, call the transport, turn what happens into an `Outcome`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from daemon.egress.exchange import Exchange
from daemon.egress.faults import EgressError, LocalFault
from daemon.identifiers import now_ms
from daemon.model import Outcome, Timings
from daemon.operations.logs import get_logger
from daemon.tracing import of_attempt

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import httpx

    from daemon.delivery.pool import Pool
    from daemon.delivery.target import Target
    from daemon.egress.express import Caller, Flight
    from daemon.egress.response import ResponseReader
    from daemon.model import Claimed, ErrorCode, FinalStatus, Millis

_log = get_logger()


class Postponed(Struct, frozen=True):
    """It was not an attempt: not one byte was written and the cause is ours. `detail` is for the operator."""

    detail: str


class Transport(Protocol):
    """What an attempt needs of egress; `EgressTransport` says what each does."""

    def launch(self, url: str, head: bytes, body: bytes, exchange: Exchange, caller: Caller) -> Flight | None: ...
    async def finish(self, flight: Flight) -> ResponseReader: ...
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response: ...


class Attempt:
    """Made of a claimed delivery, begun once, and ended once: `ended` is called with what it came to. The deadline is
    the transport's to keep.

    Nothing that a receiver, the network or a bug of ours on the way may cause is raised: a bug is the outcome
    `internal`, its traceback goes to the log."""

    __slots__ = (
        "_body",
        "_ended",
        "_exchange",
        "_flight",
        "_head",
        "_pool",
        "_started",
        "_transport",
        "delivery",
        "target",
    )

    def __init__(
        self,
        delivery: Claimed,
        target: Target,
        transport: Transport,
        pool: Pool,
        deadline: float,
        ended: Callable[[Attempt, Outcome | Postponed], None],
    ) -> None:
        self.delivery = delivery
        self.target = target
        self._transport = transport
        self._pool = pool
        self._ended = ended
        self._exchange = Exchange(target.endpoint.seq, target.endpoint.tenant, deadline)
        self._started = now_ms()
        self._head = self._body = b""
        self._flight: Flight | None = None

    def begin(self) -> None:
        """At once if the webhook has a kept connection, else in a worker. It may have ended when this returns."""
        target = self.target
        if target.fault is not None:
            self._end(self._failure(target.fault))
            return
        try:
            self._body = self.delivery.payload.encode()
            delivery, kept = self.delivery, self.delivery.traceparent
            traceparent = None if kept is None else of_attempt(kept, delivery.id)
            self._head = target.head(delivery.event, self._body, self._started // 1000, traceparent)
            self._flight = self._transport.launch(target.endpoint.url, self._head, self._body, self._exchange, self)
        except Exception as error:
            self._end(self._failure(error))
            return
        if self._flight is not None and self._flight.unsent is None:
            self._pool.adopt(self)
        elif not self._pool.submit(self):
            self.cut()

    async def run(self) -> None:
        """In a worker: over a new connection, or what is left to do of a flight. Cancelled, it ends as `cut` says."""
        try:
            result = await self._carry_out()
        except BaseException:
            self._end(self._cut_short())
            raise
        self._end(result)

    def cut(self) -> None:
        """The daemon stops: end where it stands. It was no attempt if nothing was written, it is what the status line
        said if that was read, else nobody knows whether it arrived."""
        if self._flight is not None:
            self._flight.cut()
        self._end(self._cut_short())

    def answered(self, reader: ResponseReader) -> None:
        self._pool.release(self)
        try:
            result = self._answer(reader.status, reader.headers, reader.kept)
        except Exception as error:
            result = self._failure(error)
        self._end(result)

    def failed(self, error: Exception) -> None:
        self._pool.release(self)
        self._end(self._failure(error))

    def unfinished(self) -> None:
        self._pool.release(self)
        if not self._pool.submit(self):
            self.cut()

    def _end(self, result: Outcome | Postponed) -> None:
        # It refers back to this: thousands of either would wait for the collector of cycles, and what they hold.
        self._flight = None
        self._ended(self, result)

    async def _carry_out(self) -> Outcome | Postponed:
        try:
            if self._flight is not None:
                reader = await self._transport.finish(self._flight)
                return self._answer(reader.status, reader.headers, reader.kept)
            request = self.target.request(self._head, self._body, self._exchange)
            response = await self._transport.handle_async_request(request)
            return self._answer(response.status_code, response.headers.raw, response.content)
        except Exception as error:
            return self._failure(error)

    def _answer(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> Outcome:
        exchange, text = self._exchange, body.decode("utf-8", "replace")
        return _decided(status, exchange, self._started, _headers(headers), text, truncated=exchange.truncated)

    def _failure(self, error: Exception) -> Outcome | Postponed:
        if isinstance(error, EgressError):
            return _ended("failed", self._exchange, self._started, error.code, error.detail)
        if isinstance(error, LocalFault) and not self._exchange.wrote:
            return Postponed(error.detail)
        endpoint = self.target.endpoint
        _log.error(
            "delivery.bug",
            tenant=endpoint.tenant,
            webhook=endpoint.id,
            delivery=self.delivery.id,
            event_id=self.delivery.event,
            exc_info=error,
        )
        detail = "An error inside Tenant Webhooks ended the attempt; its log has the details."
        return _ended("failed", self._exchange, self._started, "internal", detail)

    def _cut_short(self) -> Outcome | Postponed:
        exchange, started = self._exchange, self._started
        if not exchange.wrote:
            return Postponed("the daemon is shutting down")
        if exchange.status:
            return _decided(exchange.status, exchange, started)
        return _ended("interrupted", exchange, started)


def _decided(
    status: int,
    exchange: Exchange,
    started: Millis,
    headers: dict[str, str] | None = None,
    body: str = "",
    *,
    truncated: bool = True,
) -> Outcome:
    """What a final head makes of an attempt, whatever became of the body (CONTRACT §4)."""
    good = 200 <= status <= 299
    return Outcome(
        "succeeded" if good else "failed",
        started,
        max(started, now_ms()),
        status,
        None if good else "http_status",
        None if good else _explained(status),
        _timings(exchange),
        exchange.remote_address,
        exchange.reused,
        headers,
        body,
        truncated,
    )


def _ended(
    status: FinalStatus,
    exchange: Exchange,
    started: Millis,
    error: ErrorCode | None = None,
    detail: str | None = None,
) -> Outcome:
    return Outcome(
        status,
        started,
        max(started, now_ms()),
        None,
        error,
        detail,
        _timings(exchange),
        exchange.remote_address,
        exchange.reused,
    )


def _timings(exchange: Exchange) -> Timings:
    return Timings(exchange.dns, exchange.connect, exchange.tls, exchange.first_byte, exchange.total)


def _headers(raw: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("utf-8", "replace")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def _explained(status: int) -> str:
    if 300 <= status <= 399:
        return f"The receiver answered {status}; redirects are not followed, only 200 to 299 is a success."
    return f"The receiver answered {status}; only 200 to 299 is a success."
