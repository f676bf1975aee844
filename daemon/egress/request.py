"""A request as bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.egress.url import ParsedTarget

_OURS: Final = frozenset((b"host", b"content-length"))


def request_head(target: ParsedTarget, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The request line, `host` and `headers`, each line ended: the part of a head that is the same for every request to
    `target`, passed as `request.extensions["head"]`. Names are sent in lower case."""
    return b"POST %b HTTP/1.1\r\nhost: %b\r\n%b" % (target.target, target.authority, _lines(headers))


def serialise(request: httpx.Request, target: ParsedTarget) -> bytes:
    """Head and body, to be sent in one piece. Never chunked: `content-length` is added unless it is there.

    Raises ValueError if the request is no POST, its body is not bytes, or a header would break its line."""
    stream = request.stream
    if request.method != "POST" or not isinstance(stream, httpx.ByteStream):
        raise ValueError("only a POST whose body is bytes can be sent")
    body = b"".join(stream)
    length = b"content-length: %d\r\n" % len(body)
    head: bytes = request.extensions.get("head") or request_head(target, ())
    return b"".join((head, _lines(request.headers.raw, without=_OURS), length, b"\r\n", body))


def _lines(headers: Sequence[tuple[bytes, bytes]], *, without: frozenset[bytes] = frozenset()) -> bytes:
    lines: list[bytes] = []
    for written, value in headers:
        name = written.lower()
        if name not in without:
            lines.append(b"%b: %b\r\n" % (name, value))
    joined = b"".join(lines)
    if joined.count(b"\n") != len(lines) or joined.count(b"\r") != len(lines):
        raise ValueError("a header would break its line")
    return joined
