"""One POST, one attempt: resolve, check, connect, send, read. The seam to the rest of the house is httpx's, but for
requests over kept connections (`express`), where its objects cost more than the request.

Why not httpcore: its pool is quadratic in its connections, and the guard, the phase timings, the bounds and the single
deadline need the socket anyway.
"""

from __future__ import annotations

from functools import lru_cache, partial
from ipaddress import ip_address
from time import perf_counter
from typing import TYPE_CHECKING

import httpx
import trio
from msgspec import Struct

from daemon.egress.connecting import connect, shown
from daemon.egress.connection import Connection, Late
from daemon.egress.deadlines import Deadlines
from daemon.egress.express import Express
from daemon.egress.faults import EgressError, too_late
from daemon.egress.guard import refuse_addresses
from daemon.egress.idle import IdleConnections
from daemon.egress.readiness import Readiness
from daemon.egress.request import message_of, serialise
from daemon.egress.resolver import SystemResolver
from daemon.egress.tls import client_context, handshake
from daemon.egress.tls_wire import TlsWire
from daemon.egress.turn_budget import TurnBudget
from daemon.egress.url import UrlError, check_url
from daemon.egress.wire import PlainWire

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from daemon.egress.exchange import Exchange
    from daemon.egress.express import Caller, Flight
    from daemon.egress.policy import AddressPolicy
    from daemon.egress.resolver import Resolver, SockAddr
    from daemon.egress.response import ResponseReader
    from daemon.egress.url import ParsedTarget
    from daemon.egress.wire import Wire
    from daemon.settings import DeliverySettings, EgressSettings

_TARGETS_KEPT = 4096


class Received(httpx.Response):
    """A response whose `content` is the kept bytes as they came: httpx would decompress them."""

    def __init__(self, reader: ResponseReader) -> None:
        self._as_received = reader.kept
        super().__init__(reader.status, headers=reader.headers, stream=httpx.ByteStream(self._as_received))

    @property
    def content(self) -> bytes:
        return self._as_received

    def read(self) -> bytes:
        return self._as_received

    async def aread(self) -> bytes:
        return self._as_received


class Statistics(Struct, frozen=True):
    """`idle`: kept connections now. Counts since the start: connections `opened`, requests over `reused` ones, kept
    ones that were `stale`, ended by the peer before another request was sent."""

    idle: int
    opened: int
    reused: int
    stale: int


class EgressTransport(httpx.AsyncBaseTransport):
    """Two ways to send the same bytes: `launch` over a kept connection, at once and without a task; where there is
    none, `handle_async_request`, httpx's own seam, over a new one.

    `request.extensions["exchange"]` is the attempt's `Exchange`, fresh for each request. The optional
    `request.extensions["head"]` (bytes, see `request_head`) are request line and headers encoded already;
    `request.headers` come after them. `Host` and `Content-Length` are ours in any case. The
    optional `request.extensions["url"]` (str) is the URL as registered, read in place of `request.url`, which httpx has
    rewritten: what was checked then is what is checked and connected to now.

    `tls` defaults to `client_context()`."""

    def __init__(
        self,
        delivery: DeliverySettings,
        egress: EgressSettings,
        policy: AddressPolicy,
        *,
        resolver: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.policy = policy
        self._connect_timeout = delivery.connect_timeout
        self._keep = delivery.response_body_bytes
        self._read_url = _url_reader(egress)
        self._resolver: Resolver = resolver or SystemResolver()
        self._tls = tls or client_context()
        self._budget = TurnBudget()
        self._idle = IdleConnections(delivery.keep_alive, delivery.max_concurrent)
        self._deadlines = Deadlines()
        self._readiness = Readiness()
        self._express = Express(self._readiness, self._idle, self._deadlines, self._keep)
        self._opened = 0

    def reload(self, egress: EgressSettings, policy: AddressPolicy) -> None:
        """They hold for the attempts that begin from now on; no connection is kept that they might not allow."""
        self.policy = policy
        self._read_url = _url_reader(egress)
        self._idle.clear()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Attends to what is under way without a task, ends waits whose deadline has passed and closes idle connections
        when their time is over, until cancelled; then closes those."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._readiness.run)
                nursery.start_soon(self._deadlines.run)
                nursery.start_soon(self._idle.run)
                task_status.started()
        finally:
            self._idle.clear()
            self._readiness.close()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Opens a connection for it. Returns as soon as a final head is read and the body is too, or its bounds are
        reached. `run` must run.

        Raises EgressError for every outcome before that, the passing of `exchange.deadline` too; LocalFault if the
        cause is ours and not one byte was written. Cancelled, it leaves no socket open. `exchange` is filled in always.
        """
        exchange: Exchange = request.extensions["exchange"]
        try:
            return await self._attempt(request, exchange)
        finally:
            exchange.total = exchange.elapsed()

    async def aclose(self) -> None:
        """Closes the idle connections. Attempts under way go on."""
        self._idle.clear()
        await trio.lowlevel.checkpoint()

    def statistics(self) -> Statistics:
        return Statistics(len(self._idle), self._opened, self._express.reused, self._express.stale)

    def launch(self, url: str, head: bytes, body: bytes, exchange: Exchange, caller: Caller) -> Flight | None:
        """See `Express.launch`. `url` as registered, `head` and `body` as `serialise` takes them."""
        try:
            target = self._read_url(url)
        except UrlError:
            return None  # `handle_async_request` says what is wrong with it
        return self._express.launch(target, serialise(head, body), exchange, caller)

    async def finish(self, flight: Flight) -> ResponseReader:
        """See `Express.finish`."""
        return await self._express.finish(flight)

    async def _attempt(self, request: httpx.Request, exchange: Exchange) -> httpx.Response:
        try:
            target = self._read_url(request.extensions.get("url") or str(request.url))
        except UrlError as error:
            raise EgressError("blocked_address", error.detail) from None
        message = message_of(request, target)
        connection = await self._connection(target, exchange)
        try:
            sent = connection.send(message, exchange, self._keep)
            unsent = memoryview(message)[sent:] if sent < len(message) else None
            await connection.finish(unsent, exchange, self._deadlines)
        except Late:
            connection.close()
            raise too_late(exchange.phase, target.host) from None
        except BaseException:
            connection.close()
            raise
        response = Received(connection.reader)
        self._express.settle(connection, exchange)
        return response

    async def _connection(self, target: ParsedTarget, exchange: Exchange) -> Connection:
        connection: Connection | None = None
        with trio.CancelScope(deadline=min(exchange.deadline, trio.current_time() + self._connect_timeout)):
            wire, remote = await self._open(target, exchange)
            connection = Connection(wire, target.origin, remote)
        if connection is None:
            raise too_late(exchange.phase, target.host)
        self._opened += 1
        exchange.remote_address = connection.remote
        return connection

    async def _open(self, target: ParsedTarget, exchange: Exchange) -> tuple[Wire, str]:
        addresses = await self._addresses(target, exchange)
        refused = refuse_addresses(
            target, (ip_address(address[0]) for address in addresses), self.policy, exchange.tenant
        )
        if refused is not None:
            raise EgressError("blocked_address", refused)
        exchange.phase = "connect"
        began = perf_counter()
        connected, address = await connect(addresses)
        exchange.connect = exchange.elapsed(began)
        exchange.remote_address = remote = shown(address)
        if not target.tls:
            return PlainWire(connected), remote
        exchange.phase = "tls"
        began = perf_counter()
        engine = await handshake(connected, self._tls, target.host, self._budget)
        exchange.tls = exchange.elapsed(began)
        return TlsWire(engine, self._budget), remote

    async def _addresses(self, target: ParsedTarget, exchange: Exchange) -> list[SockAddr]:
        exchange.phase = "resolve"
        literal = target.literal
        if literal is not None:
            return [(str(literal), target.port) if literal.version == 4 else (str(literal), target.port, 0, 0)]
        began = perf_counter()
        addresses = await self._resolver.resolve(target.name, target.port, exchange.tenant)
        exchange.dns = exchange.elapsed(began)
        return addresses


def _url_reader(egress: EgressSettings) -> Callable[[str], ParsedTarget]:
    return lru_cache(_TARGETS_KEPT)(partial(check_url, require_https=egress.require_https))
