"""Between our connections and Quart: a body that is read when the handler asks for it, and no task beside the handler.

Stock quart-trio runs two tasks a request, takes in the whole body whether or not anybody wants it, and cancels the
handler while its response is still being written (canary: test_server_canary).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from quart.utils import encode_headers
from quart.wrappers import Response
from quart_trio import QuartTrio
from quart_trio.asgi import TrioASGIHTTPConnection
from quart_trio.wrappers import TrioRequest
from quart_trio.wrappers.request import TrioBody
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable
    from quart.typing import ResponseTypes


class Body(TrioBody):
    """A request's body: awaited or iterated, it is read as far as needed, up to the limit of its request.

    Raises RequestEntityTooLarge (413) as soon as a declared or read length is over the limit, BadRequest when the
    client left before the end. One task reads it.
    """

    _source: ASGIReceiveCallable | None = None
    _watch: tuple[int, Callable[[], None]] | None = None

    def when_over(self, size: int, call: Callable[[], None]) -> None:
        """Have `call` called once more than `size` bytes have come; what it raises ends the reading."""
        self._watch = size, call

    def bound_to(self, most: int, announced: int | None) -> None:
        """Lower the limit to `most` bytes. `announced` is the length that the request declares, if it does."""
        self._max_content_length = most
        if announced is not None and announced > most:
            self._must_raise = RequestEntityTooLarge()

    def pull_from(self, source: ASGIReceiveCallable) -> None:
        self._source = source

    def __await__(self) -> Generator[object, None, bytes]:
        return self._whole().__await__()

    async def __anext__(self) -> bytes:
        while not self._data and not self._complete.is_set() and self._must_raise is None:
            await self._pull()
        return await super().__anext__()

    async def _whole(self) -> bytes:
        while not self._complete.is_set() and self._must_raise is None:
            await self._pull()
        if self._must_raise is not None:
            raise self._must_raise
        return bytes(self._data)

    async def _pull(self) -> None:
        if self._source is None:
            await self._complete.wait()
            return
        message = await self._source()
        if message["type"] == "http.request":
            self.append(message["body"])
            if self._watch is not None and len(self._data) > self._watch[0]:
                _, call = self._watch
                self._watch = None
                call()
            if not message["more_body"]:
                self.set_complete()
        else:
            self._must_raise = BadRequest("The connection ended before the body of the request did.")


class Request(TrioRequest):
    """`at_end` is called when the response has been sent, or cannot be."""

    body_class = Body
    body: Body
    at_end: Callable[[], None] | None = None


class HTTPConnection(TrioASGIHTTPConnection):
    """One request through Quart, in the task that calls it. A client that leaves does not cancel the handler."""

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        request = self._create_request_from_scope(send)
        assert isinstance(request, Request)
        request.body.pull_from(receive)
        try:
            await self._send_response(send, await self.app.handle_request(request))
        finally:
            if request.at_end is not None:
                request.at_end()

    async def _send_response(self, send: ASGISendCallable, response: ResponseTypes) -> None:
        """All of ours are whole when they are sent: two messages do, where stock Quart sends a body in pieces."""
        if not isinstance(response, Response):
            await super()._send_response(send, response)
            return
        body = await response.get_data(as_text=False)
        headers = encode_headers(response.headers)
        await send(
            {"type": "http.response.start", "status": response.status_code, "headers": headers, "trailers": False}
        )
        await send({"type": "http.response.body", "body": body, "more_body": False})


class Application(QuartTrio):
    """A Quart application as `Server` serves it best. It runs on any ASGI server."""

    asgi_http_class = HTTPConnection
    request_class = Request
