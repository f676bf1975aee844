"""Reading one HTTP/1.1 response after another out of bytes. No I/O: bytes in, state out.

llhttp does the reading (RFC 9112); what it is lenient about and we are not is refused here: versions other than 1.0
and 1.1, other protocols, a status below 100. What it refuses and RFC 9112 §5.2 asks of a client is accepted: obs-fold.
"""

from __future__ import annotations

import re
from typing import Final

from httptools import HttpParserError, HttpResponseParser

MAX_HEAD: Final = 64 * 1024
MAX_INTERIM: Final = 16
# What is recorded of a head. Thousands of tiny headers would cost the event loop 30 ms a response, and large ones fill
# the disk: a hostile receiver's means to slow other tenants.
KEPT_HEADERS: Final = 128
KEPT_HEAD: Final = 16 * 1024

_TOKEN: Final = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_VALUE: Final = bytes([9, *range(32, 127), *range(128, 256)])
_FOLDED: Final = "Unexpected whitespace after header value"
_TIMEOUT = re.compile(rb"(?:^|[,;\s])timeout\s*=\s*\"?(\d{1,9})", re.IGNORECASE)


class Malformed(Exception):
    """The bytes are no acceptable response head; the text says why, and repeats nothing of them."""


class ResponseReader:
    """Reads the responses of one connection. `begin` before each, then `feed` what arrives.

    `status` is 0 until the final head is complete; from then on nothing raises. `headers` are its first 128, at most
    16 KiB of them; one with more is read, but its connection not used again. `kept` are the first bytes of the body,
    `seen` how many came in all; `complete`: the body is read to its end. `reusable`: complete, and another request may
    follow on this connection; `hint`: the seconds of `Keep-Alive: timeout=`, if any."""

    __slots__ = (
        "_body",
        "_broken",
        "_cut",
        "_fed",
        "_head",
        "_head_size",
        "_interim",
        "_keep",
        "_kept",
        "_leftover",
        "_lenient",
        "_may_persist",
        "_parser",
        "complete",
        "headers",
        "hint",
        "seen",
        "status",
    )

    def __init__(self) -> None:
        self.begin(0)
        self._parser = self._new_parser(lenient=False)

    def begin(self, keep: int) -> None:
        """Ready for the next response, of whose body `keep` bytes are to be kept. Only if the last one was reusable."""
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = False
        self.hint: int | None = None
        self.seen = 0
        self._keep = keep
        self._kept = 0
        self._body: list[bytes] = []
        self._head: list[bytes] = []
        self._fed = 0
        self._head_size = 0
        self._interim = 0
        self._may_persist = self._leftover = self._broken = self._cut = self._lenient = False

    def close(self) -> None:
        """Lets go of the parser, which refers back to this reader. It reads nothing after that."""
        del self._parser

    def feed(self, data: bytes) -> None:
        """Takes what arrived. Raises Malformed, only before the final head is complete."""
        if self.status:
            self._feed_body(data)
            return
        if not self._fed and data[:1] != b"H":
            raise Malformed("it is not an HTTP/1.1 response")
        self._fed += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self._judge(error, data)
        if self._fed > MAX_HEAD and (not self.status or self._head_size > MAX_HEAD):
            raise Malformed(f"its head is longer than {MAX_HEAD} bytes")
        if not self.status:
            self._head.append(data)

    def end(self) -> None:
        """The peer closed. A body of no declared length is complete with that."""
        if self.status and not self.complete and not self._broken:
            self.complete = not self._cut and not _has_length(self.headers)
            self._leftover = True

    @property
    def broken(self) -> bool:
        """The rest of the body cannot be read."""
        return self._broken

    @property
    def kept(self) -> bytes:
        return b"".join(self._body)

    @property
    def reusable(self) -> bool:
        return self.complete and self._may_persist and not self._leftover and not self._lenient

    def _feed_body(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserError:
            self._broken = not self.complete
            self._leftover = True

    def _judge(self, error: HttpParserError, data: bytes) -> None:
        if self.status:
            self._broken = not self.complete
            self._leftover = True
            return
        cause = error.__context__
        if isinstance(cause, Malformed):
            raise cause from None
        if str(error) == _FOLDED and not self._lenient:
            self._read_again(data)
            return
        raise Malformed(f"it cannot be read as HTTP/1.1 ({error})") from None

    def _read_again(self, data: bytes) -> None:
        """llhttp knows obs-fold only in a mode that also lets worse pass, which `on_headers_complete` then refuses."""
        whole = b"".join((*self._head, data))
        self.begin(self._keep)
        self._lenient = True
        self._parser = self._new_parser(lenient=True)
        self.feed(whole)

    def _new_parser(self, *, lenient: bool) -> HttpResponseParser:
        parser = HttpResponseParser(self)
        # Without it llhttp refuses the final response after an interim one that says `Connection: close`.
        parser.set_dangerous_leniencies(lenient_keep_alive=True, lenient_headers=lenient)
        return parser

    # What follows is called by the parser.

    def on_message_begin(self) -> None:
        if self.complete:
            self._leftover = True
            raise Malformed("there is more after its end")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.status:
            return
        self._head_size += len(name) + len(value) + 4
        if len(self.headers) < KEPT_HEADERS and self._head_size <= KEPT_HEAD:
            self.headers.append((name, value))
        else:
            self._cut = True

    def on_headers_complete(self) -> None:
        parser = self._parser
        status = parser.get_status_code()
        version = parser.get_http_version()
        if version not in ("1.1", "1.0") or status < 100:
            raise Malformed("it is not an HTTP/1.1 response")
        if self._lenient:
            self._check_headers()
        if status < 200:
            self._count_interim(status)
            return
        self.status = status
        if parser.should_keep_alive() and not self._cut:
            self._may_persist = version == "1.1" or not _names(self.headers, b"transfer-encoding")
            self.hint = _keep_alive_hint(self.headers)

    def on_body(self, body: bytes) -> None:
        self.seen += len(body)
        wanted = self._keep - self._kept
        if wanted > 0:
            piece = body[:wanted]
            self._kept += len(piece)
            self._body.append(piece)

    def on_message_complete(self) -> None:
        if self.status:
            self.complete = True

    def _count_interim(self, status: int) -> None:
        if status == 101:
            raise Malformed("it switches to another protocol (101), which nobody asked for")
        self._interim += 1
        if self._interim > MAX_INTERIM:
            raise Malformed(f"more than {MAX_INTERIM} interim (1xx) responses came before it")
        self.headers = []
        self._head_size = 0
        self._cut = False

    def _check_headers(self) -> None:
        names = b"".join([name for name, _ in self.headers])
        values = b"".join([value for _, value in self.headers])
        if names.translate(None, _TOKEN) or values.translate(None, _VALUE):
            raise Malformed("a header has characters that are not allowed")


def _names(headers: list[tuple[bytes, bytes]], wanted: bytes) -> list[bytes]:
    return [value for name, value in headers if len(name) == len(wanted) and name.lower() == wanted]


def _has_length(headers: list[tuple[bytes, bytes]]) -> bool:
    codings = _names(headers, b"transfer-encoding")
    if codings:
        return codings[-1].lower().rpartition(b",")[2].strip() == b"chunked"
    return bool(_names(headers, b"content-length"))


def _keep_alive_hint(headers: list[tuple[bytes, bytes]]) -> int | None:
    for value in _names(headers, b"keep-alive"):
        found = _TIMEOUT.search(value)
        if found is not None:
            return int(found[1])
    return None
