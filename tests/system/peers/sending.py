"""One request through the transport, as the daemon makes them, for whoever wants to wait for what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import trio

from daemon.egress import UrlError, check_url, request_head
from daemon.egress.transport import Received

if TYPE_CHECKING:
    from daemon.egress import EgressTransport, Exchange
    from daemon.egress.response import ResponseReader


class _Waiting:
    def __init__(self) -> None:
        self.over = trio.Event()
        self.response: httpx.Response | None = None
        self.error: Exception | None = None

    def answered(self, reader: ResponseReader) -> None:
        self.response = Received(reader)
        self.over.set()

    def failed(self, error: Exception) -> None:
        self.error = error
        self.over.set()

    def unfinished(self) -> None:
        self.over.set()


async def send(egress: EgressTransport, url: str, body: bytes, exchange: Exchange) -> httpx.Response:
    """Over a kept connection if there is one, else over a new one. Raises what becomes of it instead of a final head.
    Cancelled, it leaves no connection in use."""
    waiting = _Waiting()
    flight = None if (head := _head(url)) is None else egress.launch(url, head, body, exchange, waiting)
    if flight is None:
        request = httpx.Request("POST", url, content=body, extensions={"exchange": exchange, "url": url})
        return await egress.handle_async_request(request)
    if flight.unsent is None:
        try:
            await waiting.over.wait()
        except trio.Cancelled:
            flight.cut()
            raise
        if waiting.error is not None:
            raise waiting.error
        if waiting.response is not None:
            return waiting.response
    return Received(await egress.finish(flight))


def _head(url: str) -> bytes | None:
    """None for a URL that cannot be used: the transport says why."""
    try:
        return request_head(check_url(url, require_https=False), ())
    except UrlError:
        return None
