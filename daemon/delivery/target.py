"""A webhook made ready for attempts: what is the same in each of them is worked out once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import msgspec

from daemon import __version__
from daemon.delivery.signing import Signer
from daemon.egress.faults import EgressError
from daemon.egress.request import request_head
from daemon.egress.url import UrlError, check_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.egress.exchange import Exchange
    from daemon.model import Endpoint

_HEADERS = (
    (b"content-type", b"application/json"),
    (b"user-agent", f"Tenant-Webhooks/{__version__}".encode()),
    (b"accept-encoding", b"identity"),
)

_own_headers = msgspec.json.Decoder(dict[str, str])


class Target:
    """`fault` says why no attempt at the webhook can be made: its URL was accepted once and is not any more."""

    __slots__ = ("_head", "_signer", "_url", "endpoint", "fault")

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.fault: EgressError | None = None
        self._signer = Signer(endpoint.secrets)
        self._url = httpx.URL()
        self._head = b""
        try:
            # Whether it must be https is the transport's to say: here only what it takes to write the request.
            target = check_url(endpoint.url, require_https=False)
            self._head = request_head(target, (*_HEADERS, *_own(endpoint)))
            # httpx refuses spellings that registration took (0177.0.0.1), so it is given what was read of them.
            self._url = httpx.URL(f"{target.scheme}://{target.authority.decode()}{target.target.decode()}")
        except (UrlError, httpx.InvalidURL) as error:
            self.fault = EgressError("blocked_address", f"The webhook's URL cannot be used. {error}")

    def head(self, event: str, body: bytes, timestamp: int, traceparent: str | None = None) -> bytes:
        """Request line and headers of CONTRACT §1, signed; the bytes signed are the bytes sent. `timestamp` in Unix
        seconds."""
        # All are ours, none can break its line.
        return b"%b%bwebhook-id: %b\r\nwebhook-timestamp: %d\r\nwebhook-signature: %b\r\n" % (
            self._head,
            b"" if traceparent is None else b"traceparent: %b\r\n" % traceparent.encode(),
            event.encode(),
            timestamp,
            self._signer.sign(event, timestamp, body),
        )

    def request(self, head: bytes, body: bytes, exchange: Exchange) -> httpx.Request:
        """What `head` said, as httpx calls it."""
        extensions = {"exchange": exchange, "head": head, "url": self.endpoint.url}
        # With a stream of its own httpx makes up no headers.
        return httpx.Request("POST", self._url, stream=httpx.ByteStream(body), extensions=extensions)


def _own(endpoint: Endpoint) -> Iterator[tuple[bytes, bytes]]:
    if endpoint.headers is not None:
        for name, value in _own_headers.decode(endpoint.headers).items():
            yield name.encode(), value.encode()
