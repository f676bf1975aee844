"""One client's connection, from accept to close: one task, no timers beside it, every wait with a deadline.

The application runs in the connection's own task and its body is read from the socket when it asks for it. So a slow
handler is under no reading deadline, an unread body costs no memory, and a client that goes away (half-closing its
side is no reason to think so, RFC 9112 §9.6) never cancels a handler but while that waits for the rest of its body.
"""

from __future__ import annotations

from collections import deque
from socket import SO_LINGER, SOL_SOCKET
from struct import pack
from typing import TYPE_CHECKING, cast

import trio
from hypercorn.events import RawData
from hypercorn.typing import ConnectionState

from daemon.front_end.framing import REFUSED, Malformed, answer, unseen
from daemon.front_end.protocol import Protocol, address
from daemon.front_end.request_id import STATE, new_request_id
from daemon.operations.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from hypercorn.app_wrappers import ASGIWrapper
    from hypercorn.config import Config
    from hypercorn.events import Event
    from hypercorn.trio.worker_context import WorkerContext
    from hypercorn.typing import AppWrapper, ASGIReceiveEvent, ASGISendEvent, HTTPScope, Scope, TaskGroup

    from daemon.front_end.capacity import Crowd
    from daemon.front_end.framing import Refused

log = get_logger()

HEAD_TIMEOUT = 5.0
LAST_HEAD_TIMEOUT = 1.0  # while stopping: for a request that is on its way on a connection that we have already
KEEP_ALIVE = 75.0  # longer than nginx (60 s) keeps its side, so that a proxy never writes into a closing connection
LINGER_SILENCE = 1.0
_CHUNK = 64 * 1024


class _Gone(Exception):
    """The other side is not there any more, or does not read."""


class Connection:
    """Serves one accepted stream and closes it. `timeout` (s) bounds a body's arrival, and the writing of each 64 KiB
    of a response. Stands in for hypercorn's `TCPServer` and its task group, which run two timers a request."""

    def __init__(
        self,
        app: ASGIWrapper,
        stream: trio.SocketStream,
        crowd: Crowd,
        config: Config,
        context: WorkerContext,
        timeout: float,
        refused: Refused,
    ) -> None:
        self._app = app.app
        self._stream = stream
        self._crowd = crowd
        self._timeout = timeout
        self._refused = refused
        self._state = ConnectionState({"role": crowd.role, "draining": False})
        ends = address(stream.socket.getpeername), address(stream.socket.getsockname)
        spawner = cast("TaskGroup", self)  # of which only spawn_app is called (canary: test_server_canary)
        self._protocol = Protocol(app, config, context, spawner, self._state, False, *ends, self._buffer)
        self._scope: Scope | None = None
        self._app_send: Callable[[ASGISendEvent | None], Awaitable[None]]
        self._messages: deque[ASGIReceiveEvent] = deque()
        self._out = bytearray()
        self._waiting = trio.CancelScope()
        self._request = trio.CancelScope()
        self._sent = trio.Event()
        self._body_due = 0.0
        self._since = 0.0
        self._begun = False
        self._wrote = False
        self._gone = False
        self._evicted = False
        self._fault: Malformed | None = None
        self._request_id = ""

    async def run(self) -> None:
        """Serves until either side ends the connection. A bug, the application's or ours, ends here and nowhere else:
        it is logged, answered with 500 if nothing was written, and costs this connection only.

        Cancelled: the handler is cancelled where it waits, and the socket closes at once.
        """
        try:
            await self._serve()
        except* Exception as bugs:
            bug = bugs.exceptions[0] if len(bugs.exceptions) == 1 else bugs
            log.error("http.failed", role=self._crowd.role, request_id=self._called(), exc_info=bug)
            await self._end_with(Malformed(500, "The daemon has a fault. What happened is in its log."))
        finally:
            self._crowd.leave(self)
            self._stream.socket.close()

    def make_way(self) -> None:
        """Closes the connection if it waits: for a request, for the rest of one, or for its answer to be read."""
        self._begun = False
        self._evicted = self._protocol.last = True
        self._waiting.cancel()

    def drain(self) -> None:
        """Makes the answer in progress, if one is, the last. If none is, a request that comes within LAST_HEAD_TIMEOUT
        is still answered: whoever was accepted did nothing wrong, and could not tell a close from a crash."""
        self._protocol.last = True
        self._state["draining"] = True
        if self._crowd.rests(self) and not self._begun:
            self._waiting.deadline = min(self._waiting.deadline, trio.current_time() + LAST_HEAD_TIMEOUT)

    async def _serve(self) -> None:
        patience = HEAD_TIMEOUT
        try:
            while await self._next_request(patience):
                await self._answer()
                if self._evicted or not self._protocol.recycle():
                    break
                patience = KEEP_ALIVE
        except Malformed as refusal:
            if self._fault is None:  # the application has not seen this request, nor logged and counted it
                seconds = trio.current_time() - self._since
                log.info("http.request", **unseen(refusal, seconds, self._called()), role=self._crowd.role)
                self._refused(refusal.status, seconds)
            await self._end_with(refusal)
        except _Gone:
            return
        else:
            await self._linger()

    async def _next_request(self, patience: float) -> bool:
        """Waits for a whole head. False when there will be none. Raises Malformed and _Gone."""
        self._scope = None
        self._request_id = ""
        self._wrote = False
        self._begun = False
        self._crowd.rest(self)
        try:
            self._since = trio.current_time()
            await self._protocol.parse()
            due = trio.current_time() + (LAST_HEAD_TIMEOUT if self._protocol.last else patience)
            while self._scope is None:
                if not self._begun and self._protocol.has_unread:
                    self._begun = True
                    self._since = trio.current_time()
                    due = self._since + HEAD_TIMEOUT
                data = await self._read(due)
                if data is None and self._begun:
                    raise Malformed(408, f"The head of a request must arrive within {HEAD_TIMEOUT:g} seconds.")
                if not data and not self._begun:
                    return False
                await self._protocol.handle(RawData(data or b""))
        finally:
            self._crowd.stir(self)
        return True

    async def _answer(self) -> None:
        """Runs the application for the request in hand. Raises Malformed when its body could not be read."""
        assert self._scope is not None
        self._body_due = trio.current_time() + self._timeout
        self._sent = trio.Event()
        with trio.CancelScope() as self._request:
            await self._app(self._scope, self._receive, self._send)
        self._messages.clear()
        if self._fault is not None:
            raise self._fault
        if self._gone:
            raise _Gone
        if not self._protocol.answered:
            raise RuntimeError("the application returned before its response was complete")

    async def spawn_app(
        self,
        app: AppWrapper,
        config: Config,
        scope: Scope,
        send: Callable[[ASGISendEvent | None], Awaitable[None]],
    ) -> Callable[[ASGIReceiveEvent], Awaitable[None]]:
        """Where hypercorn's stream would have a task started for its request: kept for `_answer` instead."""
        self._scope = scope
        self._app_send = send
        return self._put

    async def _put(self, message: ASGIReceiveEvent) -> None:
        self._messages.append(message)

    async def _receive(self) -> ASGIReceiveEvent:
        """ASGI `receive`. When no more of an unfinished body can come, the request is cancelled right here."""
        while not self._messages and not self._protocol.body_ended:
            try:
                await self._read_body()
            except Malformed as fault:
                self._fault = fault
                cast("HTTPScope", self._scope)["state"][REFUSED] = fault.status  # the app records what is sent
                self._request.cancel()
            except _Gone:
                self._gone = True
                self._request.cancel()
            if self._request.cancel_called:
                await trio.lowlevel.checkpoint()
                break
        if self._messages:
            return self._messages.popleft()
        if self._fault is None and not self._gone:
            await self._sent.wait()
        return {"type": "http.disconnect"}

    async def _read_body(self) -> None:
        await self._protocol.continue_100()
        if self._out:
            await self._write(self._out)
            self._out = bytearray()
        self._begun = True
        self._crowd.rest(self)
        try:
            data = await self._read(self._body_due)
        finally:
            self._crowd.stir(self)
        if data is None and self._evicted:
            raise Malformed(408, "Others needed the connection before the body was complete. Send the request again.")
        if data is None:
            raise Malformed(408, f"The body of a request must arrive within {self._timeout:g} seconds.")
        await self._protocol.handle(RawData(data))

    async def _send(self, message: ASGISendEvent) -> None:
        """ASGI `send`. Once the client is gone it does nothing: the handler ends in its own time."""
        if self._gone:
            return
        await self._app_send(message)
        if message["type"] == "http.response.body":
            if self._out:
                data, self._out = self._out, bytearray()
                self._wrote = True
                await self._write(data)
            if self._protocol.answered:
                self._sent.set()

    async def _buffer(self, event: Event) -> None:
        if isinstance(event, RawData):
            self._out += event.data

    async def _read(self, due: float) -> bytes | None:
        """Bytes, b"" at the end of the other side, None when time is up or this connection has to make way."""
        with trio.CancelScope(deadline=due) as self._waiting:
            try:
                return bytes(await self._stream.receive_some(_CHUNK))
            except trio.BrokenResourceError as error:
                raise _Gone from error
        return None

    async def _write(self, data: bytes | bytearray) -> None:
        """Marks the client as gone if it does not take the bytes. Cancelled: a part of them may have been written."""
        with memoryview(data) as view:
            for start in range(0, len(view), _CHUNK):
                self._begun = True
                self._crowd.rest(self)
                with trio.move_on_after(self._timeout) as self._waiting:
                    try:
                        await self._stream.send_all(view[start : start + _CHUNK])
                    except trio.BrokenResourceError:
                        self._gone = True
                    finally:
                        self._crowd.stir(self)
                if self._waiting.cancelled_caught:
                    self._gone = True
                    # Nobody reads what the kernel still holds: have it forgotten instead of resent for minutes.
                    self._stream.setsockopt(SOL_SOCKET, SO_LINGER, pack("ii", 1, 0))
                if self._gone:
                    return

    async def _end_with(self, refusal: Malformed) -> None:
        """Answers below the application, if nothing of an answer has left yet, and ends the connection."""
        if not self._wrote:
            await self._write(answer(refusal.status, refusal.detail, self._called()))
        await self._linger()

    def _called(self) -> str:
        """The id of the request in hand: the application's, or a new one if that has not seen the request."""
        named: str = "" if self._scope is None else cast("HTTPScope", self._scope)["state"].get(STATE, "")
        self._request_id = named or self._request_id or new_request_id()
        return self._request_id

    async def _linger(self) -> None:
        """Closing with bytes unread would have the kernel reset the connection, and the client lose the answer that is
        on its way (RFC 9112 §9.6): so what still comes is read and thrown away, for a bounded time."""
        if self._gone or self._evicted or not self._protocol.unfinished:
            return
        total = LINGER_SILENCE if self._protocol.last else self._timeout
        end = trio.current_time() + total
        self._begun = False
        self._crowd.rest(self)
        try:
            await self._stream.send_eof()
            while await self._read(min(end, trio.current_time() + LINGER_SILENCE)):
                pass
        except (trio.BrokenResourceError, _Gone):
            pass
        finally:
            self._crowd.stir(self)
