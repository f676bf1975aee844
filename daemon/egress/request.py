"""A request as bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import httpx

if TYPE_CHECKING:
    from daemon.egress.url import ParsedTarget

Headers = Sequence[tuple[bytes, bytes]]

_OURS: Final = frozenset((b"host", b"content-length"))


def request_head(target: ParsedTarget, headers: Headers) -> bytes:
    """The request line, `host` and `headers`, each line ended: the part of a head that is the same for every request to
    `target`, passed as `request.extensions["head"]`. Names are sent in lower case."""
    return b"POST %b HTTP/1.1\r\nhost: %b\r\n%b" % (target.target, target.authority, _lines(headers))


def serialise(head: bytes, body: bytes) -> bytes:
    """The whole message, to be sent in one piece: `head` as `request_head` makes it, `content-length` (it is never
    chunked), `body`."""
    return b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body)


def message_of(request: httpx.Request, target: ParsedTarget) -> bytes:
    """The same of what httpx calls a request. Raises ValueError if it is no POST, its body is not bytes, or a header
    would break its line."""
    stream = request.stream
    if request.method != "POST" or not isinstance(stream, httpx.ByteStream):
        raise ValueError("only a POST whose body is bytes can be sent")
    head: bytes = request.extensions.get("head") or request_head(target, ())
    headers = [header for header in request.headers.raw if header[0].lower() not in _OURS]
    return serialise(head + _lines(headers), b"".join(stream))


def _lines(headers: Headers) -> bytes:
    lines = [b"%b: %b\r\n" % (name.lower(), value) for name, value in headers]
    joined = b"".join(lines)
    if joined.count(b"\n") != len(lines) or joined.count(b"\r") != len(lines):
        raise ValueError("a header would break its line")
    return joined
