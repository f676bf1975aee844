"""From bytes to typed records, and from a decoder's complaint to the place in the body it is about. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from daemon.front_end.expectations import expected, steps
from daemon.front_end.problems import Culprit, Problem, invalid

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_LONGEST_NAME = 255
_PLACE = re.compile(r" - at `(?:key in )?(\$[^`]*)`$")
_MISSING = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_EXPECTED = re.compile(r"Expected `([^`]*)`, got `([^`]*)`")
_LENGTH = re.compile(r"Expected `(str|array)` of length (<=|>=) ([0-9]+)")
_BOUND = re.compile(r"Expected `(?:int|float)` (<=|>=) (-?[0-9]+)(?:\.0)?")
_UNNAMED = ("Expected `str` matching regex ", "Invalid enum value ")
_OUT_OF_RANGE = ("Number out of range", "Integer value out of range")
_NAMES = {
    "str": "a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "an array",
    "object": "an object",
    "null": "null",
}


# Numbers are not read: one that no float holds is JSON too.
_syntax = msgspec.json.Decoder(msgspec.Raw)


@dataclass(frozen=True)
class Body(Generic[T]):
    """What a route takes: `decode` makes a T of the bytes or raises Problem. `types` are the type
    forms for documents: it is one of them. `required`: no body at all is no T."""

    types: tuple[Any, ...]
    decode: Callable[[bytes], T]
    required: bool = True


NO_BODY: Body[None] = Body((), lambda _: None)


def body_of(kind: type[T]) -> Body[T]:
    """A body that is one JSON value of `kind`."""
    decoder = msgspec.json.Decoder(kind)
    return Body((kind,), lambda raw: decode(decoder.decode, raw, kind=kind))


def optional_body_of(kind: type[T]) -> Body[T]:
    """As `body_of`; no body at all stands for `{}`."""
    body = body_of(kind)
    return Body(body.types, lambda raw: body.decode(raw or b"{}"), required=False)


def escape(name: str) -> str:
    """A member's name as one reference token of a JSON Pointer (RFC 6901 §3); one that is very long is cut."""
    shown = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"
    return shown.replace("~", "~0").replace("/", "~1")


def decode(
    decoder: Callable[[bytes | msgspec.Raw], T], raw: bytes | msgspec.Raw, *, kind: type[T], prefix: str = ""
) -> T:
    """What `decoder` makes of `raw`, a `kind`. `prefix` is the pointer of `raw` in the whole body.

    Raises Problem: `not-json` if it is not JSON at all (looked at first), else `invalid` with the pointer."""
    try:
        return decoder(raw)
    except msgspec.ValidationError as error:
        # The typed decoder stops at the first wrong type, which may stand before a broken end: 400 comes before 422.
        check_syntax(raw)
        raise invalid([culprit(str(error), prefix, kind)]) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise not_json(error) from None
    except RecursionError:
        raise too_deep(prefix) from None


def check_syntax(raw: bytes | msgspec.Raw) -> None:
    """Raises Problem `not-json` unless `raw` is JSON text, or `invalid` if it is nested too deep to tell."""
    try:
        _syntax.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise not_json(error) from None
    except RecursionError:
        raise too_deep("") from None


def check_utf8(raw: bytes) -> None:
    """Raises Problem `not-json` unless `raw` is UTF-8 (RFC 8259 §8.1), members that the decoder skips over included."""
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        raise not_json(error) from None


def not_json(error: Exception) -> Problem:
    """The decoder's words say where it stopped; they never quote the body."""
    why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else _PLACE.sub("", str(error))
    why = why.removeprefix("JSON is malformed: ")
    return Problem("not-json", f"The body is not JSON: {why}. Send one JSON object in UTF-8.")


def too_deep(pointer: str) -> Problem:
    return invalid([Culprit("is nested too deep; send a flatter document", pointer=pointer)])


def culprit(message: str, prefix: str = "", kind: Any = None) -> Culprit:
    """What msgspec says (`Expected `str`, got `int` - at `$.events[3].session``) as a pointer and a sentence. `kind` is
    the type that was to be decoded.

    A missing or unknown member is pointed at itself, not at the object that lacks or holds it."""
    found = _PLACE.search(message)
    what = message[: found.start()] if found else message
    place = found.group(1) if found else "$"
    pointer = prefix + "".join(f"/{step}" for step in steps(place))
    if match := _MISSING.fullmatch(what):
        return Culprit("is required; add it", pointer=f"{pointer}/{escape(match.group(1))}")
    if match := _UNKNOWN.fullmatch(what):
        return Culprit("is not a field of this object; remove it", pointer=f"{pointer}/{escape(match.group(1))}")
    return Culprit(sentence(what, kind, place), pointer=pointer)


def sentence(what: str, kind: Any = None, place: str = "$") -> str:
    """A decoder's complaint about the `place` in a `kind`, in words for a person, ending without a full stop."""
    if what.startswith(_UNNAMED):
        return f"must be {expected(kind, place) or 'another value'}"
    if match := _EXPECTED.fullmatch(what):
        wanted = " or ".join(_NAMES.get(name.strip(), name.strip()) for name in match.group(1).split("|"))
        return f"must be {wanted}, not {_NAMES.get(match.group(2), match.group(2))}"
    if match := _LENGTH.fullmatch(what):
        unit = "character" if match.group(1) == "str" else "item"
        many = "" if match.group(3) == "1" else "s"
        return f"must have at {'most' if match.group(2) == '<=' else 'least'} {match.group(3)} {unit}{many}"
    if what in _OUT_OF_RANGE:
        return "is a number with too many digits"
    if match := _BOUND.fullmatch(what):
        return f"must be at {'most' if match.group(1) == '<=' else 'least'} {match.group(2)}"
    return what
