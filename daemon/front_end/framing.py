"""Which request heads are served at all, and what is sent when one is not. Pure; RFC 9112 (HTTP/1.1), RFC 9457."""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from daemon.front_end.catalogue import KINDS
from daemon.front_end.problems import CONTENT_TYPE, ProblemDocument
from daemon.front_end.request_id import HEADER
from daemon.operations.metrics import MALFORMED

if TYPE_CHECKING:
    import h11

_LENGTH = re.compile(rb"^content-length[ \t]*:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_LOOSE_LINE = re.compile(rb"(?<!\r)\n|\n[ \t]")
_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=:%\[\]-]{0,261}")  # RFC 3986 §3.2.2, 253 characters of name and a port
_DETAILS = {
    431: "The head of the request is too large: send at most 16 KiB of request line and headers.",
    501: "The only Transfer-Encoding understood is chunked: send the body so, or with a Content-Length.",
}


Refused = Callable[[int, float], None]
"""Is told of each request that no application saw: the status it was refused with, seconds since its head began."""

REFUSED = "refused"
"""Where in its state an application finds the status that a request it began with was refused with."""


class Malformed(Exception):
    """The connection cannot go on: it is answered with `status` and a problem that says `detail`, and closed."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail


def malformed(status: int) -> Malformed:
    """What the parser could not read; `status` is its hint. The client's own bytes are not repeated to it."""
    return Malformed(status, _DETAILS.get(status, "This is not a well-formed HTTP/1.1 request."))


def fault(request: h11.Request, head: bytes) -> str | None:
    """Why a request that parsed is refused all the same, or None. `head` is the request as it came, up to its body.

    Two readings of where a body ends are how requests are smuggled past a proxy (RFC 9112 §6.3, §11.2): nothing that
    leaves room for two is served, although the parser would settle on one.
    """
    if request.http_version not in (b"1.1", b"1.0"):
        return "Only HTTP/1.1 is spoken here."
    if request.method == b"CONNECT" or not request.target.startswith(b"/"):
        return "The request target must be a path beginning with “/”, not a whole URL: this is not a proxy."
    if _LOOSE_LINE.search(head):
        return "End each line of the head with CR LF, and fold none: some read a folded or half-ended line as another."
    names: list[bytes] = []
    for name, value in request.headers:
        names.append(name)
        if name == b"host" and not _HOST.fullmatch(value):
            return "The header Host is not a host name."
    if b"transfer-encoding" in names:
        if b"content-length" in names:
            return "Send either Content-Length or Transfer-Encoding, not both."
        if request.http_version == b"1.0":
            return "Transfer-Encoding needs HTTP/1.1."
    elif b"content-length" in names and b"," in b",".join(_LENGTH.findall(head)):
        return "Send Content-Length once."
    return None


def unseen(refusal: Malformed, seconds: float, request_id: str) -> dict[str, object]:
    """The fields that every request has in the log, for one that no application saw."""
    return {
        "method": None,
        "route": MALFORMED,
        "status": refusal.status,
        "ms": round(seconds * 1000, 2),
        "tenant": None,
        "token": None,
        "request_id": request_id,
        "detail": refusal.detail,
    }


def answer(status: int, detail: str, request_id: str) -> bytes:
    """A whole response that ends its connection: a problem document, made without the application's help."""
    kind = KINDS["internal"] if status == 500 else KINDS["invalid"]
    body = msgspec.json.encode(ProblemDocument(kind.type, kind.title, status, detail))
    reason = HTTPStatus(status).phrase
    head = (
        f"HTTP/1.1 {status} {reason}\r\ncontent-type: {CONTENT_TYPE}\r\n"
        f"content-length: {len(body)}\r\n{HEADER.lower()}: {request_id}\r\nconnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body
