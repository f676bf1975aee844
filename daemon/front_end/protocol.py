"""hypercorn's HTTP/1.1 side of a connection, with every way to another protocol walled up.

Kept of hypercorn: the ASGI scope and state of a request (`HTTPStream`), and the writing of responses by h11. Replaced:
what reads requests. Stock hypercorn upgrades to websockets and HTTP/2 on anybody's word, and one such connection with
the wrong bytes ends the process; it also takes a request whose length is given twice (canary: test_server_canary).
"""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, cast
from wsgiref.handlers import format_date_time

import h11
import trio
from hypercorn.config import Config
from hypercorn.protocol.events import Body, EndBody, Request, Response, StreamClosed
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.protocol.http_stream import ASGIHTTPState, HTTPStream

from daemon.front_end.framing import Malformed, fault, malformed

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypercorn.protocol.events import Event

MOST_CHUNKS = 4096
_MAX_HEAD = 16 * 1024
_CHUNKS_A_TURN = 64


class ProtocolConfig(Config):
    """hypercorn's settings for every connection: no logs of its own, no `server` header, a Date made once a second."""

    errorlog = None
    accesslog = None
    h11_max_incomplete_size = _MAX_HEAD
    keep_alive_max_requests = 1 << 62

    def __init__(self) -> None:
        self._second = 0
        self._headers: list[tuple[bytes, bytes]] = []

    def response_headers(self, protocol: str) -> list[tuple[bytes, bytes]]:
        second = int(time())
        if second != self._second:
            self._second = second
            self._headers = [(b"date", format_date_time(second).encode("ascii"))]
        return self._headers


class Protocol(H11Protocol):
    """Bytes in, ASGI messages out, and back. `handle(RawData)` parses at most one request ahead of what was answered.

    Raises `Malformed` for a request that cannot be served. `last` makes the next response the connection's last one.
    """

    last = False
    _chunks = 0

    @property
    def parser(self) -> h11.Connection:
        return cast("h11.Connection", self.connection)

    @property
    def has_unread(self) -> bool:
        """Bytes have come that no event was made of."""
        return self.parser.trailing_data[0] != b""

    @property
    def unfinished(self) -> bool:
        """The client may still be sending what nobody will read."""
        return self.has_unread or self.parser.their_state in (h11.SEND_BODY, h11.ERROR)

    @property
    def body_ended(self) -> bool:
        return self.parser.their_state is not h11.SEND_BODY

    @property
    def answered(self) -> bool:
        """The application has sent all of its response."""
        return isinstance(self.stream, HTTPStream) and self.stream.state is ASGIHTTPState.CLOSED

    def recycle(self) -> bool:
        """Makes ready for the next request. False if the response said that the connection closes instead."""
        self.stream = None
        if self.parser.our_state is not h11.DONE or self.parser.their_state is not h11.DONE:
            return False
        self.parser.start_next_cycle()
        return True

    async def continue_100(self) -> None:
        """Asks for the body, if the client waits to be asked (RFC 9110 §10.1.1)."""
        if self.parser.they_are_waiting_for_100_continue:
            await self._send_h11_event(h11.InformationalResponse(status_code=100, headers=[]))

    async def parse(self) -> None:
        """Makes events of bytes that came with an earlier request (pipelining). Raises `Malformed`."""
        await self._handle_events()

    async def stream_send(self, event: Event) -> None:
        """Writes through the connection's buffer. What follows a response is decided by `recycle`, not in here."""
        if isinstance(event, StreamClosed):
            return
        if isinstance(event, Response) and (self.last or not self.body_ended):
            event = Response(event.stream_id, [*event.headers, (b"connection", b"close")], event.status_code)
        await super().stream_send(event)

    async def _handle_events(self) -> None:
        while True:
            reads_head = self.parser.their_state is h11.IDLE
            head = self.parser.trailing_data[0] if reads_head else b""
            try:
                event = self.parser.next_event()
            except h11.RemoteProtocolError as error:
                raise malformed(error.error_status_hint) from error
            if isinstance(event, h11.Request):
                head = head[: len(head) - len(self.parser.trailing_data[0])]
                if len(head) > _MAX_HEAD:  # the parser looks at heads that have not ended yet alone
                    raise malformed(431)
                why = fault(event, head)
                if why is not None:
                    raise Malformed(400, why)
                await self._create_stream(event)
            elif isinstance(event, h11.Data) and self.stream is not None:
                if event.chunk_start:
                    await self._count_chunk()
                await self.stream.handle(Body(STREAM_ID, bytes(event.data)))
            elif isinstance(event, h11.EndOfMessage) and self.stream is not None:
                await self.stream.handle(EndBody(STREAM_ID))
                return
            else:
                return

    async def _count_chunk(self) -> None:
        """Each costs the event loop 25 µs however small it is: a body of single bytes would cost it minutes.

        Raises `Malformed`."""
        self._chunks += 1
        if self._chunks > MOST_CHUNKS:
            raise Malformed(400, f"The body comes in over {MOST_CHUNKS} chunks: send larger ones, or a Content-Length.")
        if self._chunks % _CHUNKS_A_TURN == 0:
            await trio.lowlevel.checkpoint()

    async def _create_stream(self, request: h11.Request) -> None:
        """`Upgrade` is ignored, as RFC 9110 §7.8 allows: every request is an HTTP one."""
        self._chunks = 0
        self.stream = HTTPStream(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            STREAM_ID,
        )
        await self.stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=list(request.headers),
                http_version=request.http_version.decode("ascii"),
                method=request.method.decode("ascii").upper(),
                raw_path=request.target,
                state=self.connection_state,
            )
        )


def address(name: Callable[[], object]) -> tuple[str, int] | None:
    """One end, as ASGI wants it; None for a Unix socket's, and for a client that has left already."""
    try:
        found = name()
    except OSError:
        return None
    if isinstance(found, tuple):
        host, port = cast("tuple[str, int]", found)[:2]
        return host, port
    return None
