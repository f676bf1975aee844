"""What happens to a delivery between its sender and the code that verifies it, undone. Pure.

Each function gives the part as it stands first, then what it may have been before, with the words for what was done.
"""

from __future__ import annotations

import json
import re
import unicodedata
from binascii import Error as NotBase64
from binascii import a2b_base64
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, cast

from daemon.delivery.signing import parse_secret
from daemon.instants import parse_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# One that does not end is taken to the end of the text: to look for its end from each quote in it would take for ever.
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_STRING_OR_SPACE = re.compile(r'("(?:[^"\\]|\\.)*+"?)|[ \t\r\n]+', re.DOTALL)
_ASSIGNMENT = re.compile(r"(?:export\s+)?[A-Za-z_][A-Za-z0-9_]*\s*=\s*(.*)", re.DOTALL)
_LARGE = 1 << 18  # bytes
_MILLISECONDS = 10**11  # seconds reach that in the year 5138, milliseconds did in 1973


class Body(NamedTuple):
    """`change` is None for the body as it stands."""

    content: bytes
    change: str | None = None


class Id(NamedTuple):
    text: str
    change: str | None = None


class Timestamp(NamedTuple):
    seconds: int
    change: str | None = None


class Key(NamedTuple):
    raw: bytes
    change: str | None = None


def ids(text: str) -> Iterator[Id]:
    yield Id(text)
    bare = text.strip().strip("\"'").strip()
    if bare != text:
        yield Id(bare, "quotes or white space were added to it")
    if bare.lower() != bare:
        yield Id(bare.lower(), "it was changed to capital letters")
    if not bare.startswith("evt_"):
        yield Id(f"evt_{bare}", "it has lost “evt_” in front")


def timestamps(text: str) -> Iterator[Timestamp]:
    """Nothing for a text that no moment can be made of."""
    bare = text.strip().strip("\"'").strip()
    if bare.isascii() and bare.isdigit() and len(bare) <= 18:
        seconds = int(bare)
        yield Timestamp(seconds, None if bare == text else "quotes or white space were added to it")
        if seconds >= _MILLISECONDS:
            yield Timestamp(seconds // 1000, "it is in milliseconds; it came in seconds")
        return
    try:
        yield Timestamp(parse_instant(bare) // 1000, "it was written as a date; it came as Unix seconds")
    except ValueError:
        return


def keys(text: str) -> Iterator[Key]:
    """Nothing for a text that no key can be made of."""
    try:
        yield Key(parse_secret(text))
    except ValueError:
        pass
    else:
        return
    bare = text.strip()
    if not bare.startswith("whsec_") and (match := _ASSIGNMENT.fullmatch(bare)) and match[1].strip():
        bare = match[1].strip()
    encoded = bare.strip("\"'").strip().removeprefix("whsec_").replace("-", "+").replace("_", "/").rstrip("=")
    try:
        key = parse_secret(f"whsec_{encoded}{'=' * (-len(encoded) % 4)}")
    except ValueError:
        return
    yield Key(key, "it is written otherwise than it was shown: whsec_ and base64, nothing around it")


def bodies(content: bytes) -> Iterator[Body]:
    """Each once, with the simplest of what leads to it; where each would take long, only what is quickly undone."""
    seen: set[bytes] = set()
    serialisations = _SERIALISATIONS if len(content) <= _LARGE else _SERIALISATIONS[:1]
    for restore, restored in serialisations:
        for unwrap, unwrapped in _WRAPPINGS:
            outer = content if unwrap is None else unwrap(content)
            inner = outer if restore is None or outer is None else _on_text(restore, outer)
            if inner is None or (digest := sha256(inner).digest()) in seen:
                continue
            seen.add(digest)
            yield Body(inner, ", and ".join(filter(None, (unwrapped, restored))) or None)


def compact(text: str) -> str:
    """JSON text without the white space that means nothing, every other character as it was."""
    return _STRING_OR_SPACE.sub(lambda match: match[1] or "", text)


def _unescaped(text: str) -> str:
    return _in_strings(text, lambda string: json.dumps(json.loads(string, strict=False), ensure_ascii=False))


def _escaped(text: str) -> str:
    return _in_strings(text, lambda string: json.dumps(json.loads(string, strict=False)))


def _in_strings(text: str, change: Callable[[str], str]) -> str:
    return _STRING.sub(lambda match: change(match[0]), text)


def _on_text(change: Callable[[str], str], content: bytes) -> bytes | None:
    try:
        return change(content.decode()).encode()
    except ValueError:  # not UTF-8, or a string that JSON does not know
        return None


def _without_line_break(content: bytes) -> bytes | None:
    return content.removesuffix(b"\n").removesuffix(b"\r") if content.endswith(b"\n") else None


def _one_to_a_byte(content: bytes) -> bytes | None:
    """Undoes UTF-8 that was read as Windows-1252 or Latin-1, and written as UTF-8 again."""
    for encoding in ("cp1252", "latin-1"):
        try:
            return content.decode().encode(encoding)
        except ValueError:
            continue
    return None


def _from_base64(content: bytes) -> bytes | None:
    try:
        return a2b_base64(content.strip(), strict_mode=True) or None
    except NotBase64:
        return None


def _from_string(content: bytes) -> bytes | None:
    try:
        inner = cast("object", json.loads(content))
    except (ValueError, RecursionError):
        return None
    return inner.encode("utf-8", "surrogatepass") if isinstance(inner, str) else None


_WRAPPINGS: tuple[tuple[Callable[[bytes], bytes | None] | None, str | None], ...] = (
    (None, None),
    (_without_line_break, "a line break was added at its end"),
    (lambda content: content + b"\n", "the line break at its end was lost"),
    (lambda content: content.strip(), "white space was added around it"),
    (lambda content: content.removeprefix(b"\xef\xbb\xbf"), "a byte order mark was put in front"),
    (lambda content: content.replace(b"\r\n", b"\n"), "its line breaks were changed to those of Windows"),
    (lambda content: content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), "its line breaks were changed to LF"),
    (_one_to_a_byte, "its UTF-8 was read in another encoding and written again"),
    (_from_base64, "it is encoded as base64"),
    (_from_string, "it is a JSON string that holds the body"),
)
_SERIALISATIONS: tuple[tuple[Callable[[str], str] | None, str | None], ...] = (
    (None, None),
    (compact, "it was parsed and written again with other white space"),
    (lambda text: compact(text).replace("\\/", "/"), "it was parsed and written again with “/” escaped"),
    (lambda text: _unescaped(compact(text)), "it was parsed and written again with characters escaped as \\u…"),
    (lambda text: _escaped(compact(text)), "it was parsed and written again with its \\u… escapes as characters"),
    (lambda text: unicodedata.normalize("NFC", text), "its letters were taken apart (Unicode normalisation)"),
    (lambda text: unicodedata.normalize("NFD", text), "its letters were put together (Unicode normalisation)"),
)
