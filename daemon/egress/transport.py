"""One POST, one attempt: resolve, check, connect, send, read. The seam to the rest of the house is httpx's.

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
from daemon.egress.connection import Connection, Late, Stale
from daemon.egress.deadlines import Deadlines
from daemon.egress.faults import EgressError
from daemon.egress.guard import refuse_addresses
from daemon.egress.idle import IdleConnections
from daemon.egress.request import serialise
from daemon.egress.resolver import SystemResolver
from daemon.egress.tls import client_context, handshake
from daemon.egress.url import UrlError, check_url
from daemon.egress.wire import PlainWire, TlsWire

if TYPE_CHECKING:
    import ssl

    from daemon.egress.exchange import Exchange
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
    """`idle`: kept connections now; `opened`, `reused`, `stale`: counts since the start."""

    idle: int
    opened: int
    reused: int
    stale: int


class EgressTransport(httpx.AsyncBaseTransport):
    """`request.extensions["exchange"]` is the attempt's `Exchange`, fresh for each request. The optional
    `request.extensions["head"]` (bytes, see `request_head`) is what is the same in every request of a webhook, encoded
    once; `request.headers` are then only the attempt's own. `Host` and `Content-Length` are ours in any case. The
    optional `request.extensions["url"]` (str) is the URL as registered, read in place of `request.url`, which httpx has
    rewritten: what was checked then is what is checked and connected to now.

    `policy` may be replaced, once it is known where the daemon listens. `tls` defaults to `client_context()`."""

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
        self._read_url = lru_cache(_TARGETS_KEPT)(partial(check_url, require_https=egress.require_https))
        self._resolver: Resolver = resolver or SystemResolver()
        self._tls = tls or client_context()
        self._idle = IdleConnections(delivery.keep_alive, delivery.max_concurrent)
        self._deadlines = Deadlines()
        self._opened = self._reused = self._stale = 0

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Ends waits whose deadline has passed and closes idle connections when their time is over, until cancelled;
        then closes them all."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._deadlines.run)
                nursery.start_soon(self._idle.run)
                task_status.started()
        finally:
            self._idle.clear()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Returns as soon as a final head is read and the body is too, or its bounds are reached. `run` must run.

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
        return Statistics(len(self._idle), self._opened, self._reused, self._stale)

    async def _attempt(self, request: httpx.Request, exchange: Exchange) -> httpx.Response:
        try:
            target = self._read_url(request.extensions.get("url") or str(request.url))
        except UrlError as error:
            raise EgressError("blocked_address", error.detail) from None
        message = serialise(request, target)
        connection: Connection | None = None
        try:
            while connection is None:
                connection = await self._connection(target, exchange)
                try:
                    await connection.request(message, exchange, self._keep, self._deadlines)
                except Stale:
                    self._stale += 1
                    connection.close()
                    connection = None
                except Late:
                    raise _too_late(exchange, target) from None
            reader = connection.reader
            response = Received(reader)
            exchange.truncated = not reader.complete or reader.seen > self._keep
            if connection.reusable:
                self._idle.put(exchange.key, connection, reader.hint)
                connection = None
            return response
        finally:
            if connection is not None:
                connection.close()

    async def _connection(self, target: ParsedTarget, exchange: Exchange) -> Connection:
        origin = (target.scheme, target.host, target.port)
        connection = self._idle.take(exchange.key, origin)
        if connection is not None:
            self._reused += 1
            exchange.reused = True
        else:
            exchange.reused = False
            exchange.remote_address = None
            with trio.CancelScope(deadline=min(exchange.deadline, trio.current_time() + self._connect_timeout)):
                wire, remote = await self._open(target, exchange)
                connection = Connection(wire, origin, remote)
            if connection is None:
                raise _too_late(exchange, target)
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
        shaken = await handshake(connected, self._tls, target.host)
        exchange.tls = exchange.elapsed(began)
        return TlsWire(shaken), remote

    async def _addresses(self, target: ParsedTarget, exchange: Exchange) -> list[SockAddr]:
        exchange.phase = "resolve"
        literal = target.literal
        if literal is not None:
            return [(str(literal), target.port) if literal.version == 4 else (str(literal), target.port, 0, 0)]
        began = perf_counter()
        addresses = await self._resolver.resolve(target.name, target.port, exchange.tenant)
        exchange.dns = exchange.elapsed(began)
        return addresses


def _too_late(exchange: Exchange, target: ParsedTarget) -> EgressError:
    match exchange.phase:
        case "resolve":
            return EgressError("dns_failed", f"Looking up {target.host} took too long.")
        case "connect":
            return EgressError("connect_timeout", f"{target.host} did not accept a connection in time.")
        case "tls":
            return EgressError("tls_failed", f"The TLS handshake with {target.host} did not end in time.")
        case "send":
            return EgressError("send_failed", "The receiver stopped reading: the request could not be sent in time.")
        case _:
            return EgressError("response_timeout", "The receiver sent no complete response head in time.")
