"""A small HTTP/1.1 receiver on Trio and h11, for `listen` and `demo`: whole requests in, a status out."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import h11
import trio
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HEAD_BYTES = 64 * 1024
BODY_BYTES = 16 * 1024 * 1024
REQUEST_SECONDS = 30.0

_BROKEN = (trio.BrokenResourceError, trio.ClosedResourceError, h11.LocalProtocolError)


class Request(Struct, frozen=True):
    """A request as it came; header names are lower case, in their order."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


async def receive(
    listeners: Sequence[trio.SocketListener],
    answer: Callable[[Request], int],
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serves until cancelled, which closes the listeners and every connection. `answer` gives the status; it runs
    once for each whole request, whether the sender is still there or not; what it raises ends the receiver."""
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(trio.serve_listeners, partial(_converse, answer=answer), list(listeners)))
        task_status.started()


async def _converse(stream: trio.SocketStream, answer: Callable[[Request], int]) -> None:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
    try:
        while True:
            with trio.move_on_after(REQUEST_SECONDS) as patience:
                await _exchange(stream, connection, answer)
            if patience.cancelled_caught or (connection.our_state, connection.their_state) != (h11.DONE, h11.DONE):
                return
            connection.start_next_cycle()
    except _BROKEN:
        return  # The sender has gone; what it sent whole was taken.
    finally:
        await trio.aclose_forcefully(stream)


async def _exchange(stream: trio.SocketStream, connection: h11.Connection, answer: Callable[[Request], int]) -> None:
    try:
        request = await _request(stream, connection)
    except h11.RemoteProtocolError as error:
        await _respond(stream, connection, error.error_status_hint)
        return
    if request is None:
        connection.send_failed()
    elif len(request.body) > BODY_BYTES:
        await _respond(stream, connection, 413)
    else:
        await _respond(stream, connection, answer(request))


async def _request(stream: trio.SocketStream, connection: h11.Connection) -> Request | None:
    """None when the sender closed before the next request. A body that is too large ends at the first byte too many."""
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            if connection.they_are_waiting_for_100_continue:
                await _send(stream, connection, h11.InformationalResponse(status_code=100, headers=[]))
            connection.receive_data(await stream.receive_some())
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        if head is not None and (isinstance(event, h11.EndOfMessage) or len(body) > BODY_BYTES):
            headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers)
            return Request(head.method.decode("latin-1"), head.target.decode("latin-1"), headers, bytes(body))
        if isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
            return None


async def _respond(stream: trio.SocketStream, connection: h11.Connection, status: int) -> None:
    headers = [("content-length", "0")]
    if status == 405:
        headers.append(("allow", "POST"))
    if connection.their_state is not h11.DONE:
        headers.append(("connection", "close"))
    await _send(stream, connection, h11.Response(status_code=status, headers=headers))
    await _send(stream, connection, h11.EndOfMessage())


async def _send(stream: trio.SocketStream, connection: h11.Connection, event: h11.Event) -> None:
    data = connection.send(event)
    if data:
        await stream.send_all(data)
