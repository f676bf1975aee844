"""From an event and its fields to one line of text. Pure but for the clock; whatever the fields are, it never raises.

Text is made safe here, once for both formats: at most 200 characters, everything that is not printable written as an
escape (`\\n`, `\\x1b`, `\\u202e`), so that neither a terminal nor the reader of a line can be deceived.
"""

from __future__ import annotations

import sys
import time
from functools import cache
from types import NoneType
from typing import TYPE_CHECKING, cast, get_type_hints

import msgspec
from msgspec import Struct

from daemon.operations.tracebacks import Trace, compact
from daemon.printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXT_LIMIT = 200

_encode = msgspec.json.Encoder().encode
# Values of these types are written as they are: they hold no text. Records of numbers join them when first seen.
_SAFE: set[type] = {int, float, bool, NoneType}
# The last moment that was asked for, in milliseconds, and how it reads: lines come in bursts, after a commit.
_moment: tuple[int, str] = (0, "1970-01-01T00:00:00.000Z")


def clean(text: str) -> str:
    """`text` from outside, fit for a log: see the module."""
    if len(text) > TEXT_LIMIT or not text.isprintable():
        shown = printable(text[:TEXT_LIMIT])
        return shown if len(text) <= TEXT_LIMIT >= len(shown) else shown[: TEXT_LIMIT - 1] + "…"
    return text


def timestamp() -> str:
    """Now in UTC, RFC 3339 with three digits."""
    global _moment
    at, moment = time.time_ns() // 1_000_000, _moment
    if at != moment[0]:
        # Another thread may do the same meanwhile: this one goes by what it has made itself.
        moment = at, f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(at // 1000))}.{at % 1000:03d}Z"
        _moment = moment
    return moment[1]


def json_line(level: str, event: str, fields: dict[str, object]) -> bytes:
    """One JSON object: `timestamp`, `level`, `event`, then the fields in their order; `exc_info`, which is taken out of
    `fields`, as `exception` and `traceback`."""
    raised = _raised(fields.pop("exc_info")) if "exc_info" in fields else None
    line: dict[str, object] = {"timestamp": timestamp(), "level": level, "event": event, **fields}
    for key, value in fields.items():
        # Nearly every value is fit as it is; this is gone through for every delivery.
        if isinstance(value, str):
            if len(value) > TEXT_LIMIT or not value.isprintable():
                line[key] = clean(value)
        elif type(value) not in _SAFE:
            line[key] = _safe(value)
    return _encode(line | raised if raised else line) + b"\n"


def json_record(level: str, event: str, record: Struct) -> bytes:
    """The same line of a record whose texts need no cleaning, for a third of the price."""
    return b'{"timestamp":"%b","level":"%b","event":"%b",%b\n' % (
        timestamp().encode(),
        level.encode(),
        event.encode(),
        _encode(record)[1:],
    )


def console_line(level: str, event: str, fields: dict[str, object], *, colour: bool) -> bytes:
    """For people: time of day in UTC, level, event, `key=value` of what is not null; with ANSI colours if asked."""
    raised = _raised(fields.pop("exc_info", None))
    shown = {key: _safe(value) for key, value in fields.items()} | raised
    start, end = (_COLOURS.get(level, ""), "\x1b[0m") if colour else ("", "")
    return f"{timestamp()[11:]} {start}{level:<7}{end} {event:<22} {words(shown)}".rstrip().encode() + b"\n"


def words(fields: Mapping[str, object]) -> str:
    """`key=value` of what is not null; the values are fit for a log already."""
    return printable(" ".join([f"{key}={_word(value)}" for key, value in fields.items() if value is not None]))


def fallback_line(level: str, event: str, fields: Mapping[str, object], error: BaseException) -> bytes:
    """What can still be said when the fields cannot be rendered."""
    names = ", ".join(fields)
    what = f"{type(error).__name__} while rendering {names}"
    return _encode({"timestamp": timestamp(), "level": level, "event": event, "unrendered": clean(what)}) + b"\n"


_COLOURS = {"debug": "\x1b[2m", "info": "\x1b[32m", "warning": "\x1b[33m", "error": "\x1b[31m"}


def _raised(given: object) -> dict[str, str]:
    """`given` as Python's logging takes it: an exception, the triple, or true for the one being handled."""
    if isinstance(given, tuple):
        given = cast("tuple[object, ...]", given)[1]
    elif given and not isinstance(given, BaseException):
        given = sys.exc_info()[1]
    if not isinstance(given, BaseException):
        return {}
    return {"exception": clean(f"{type(given).__name__}: {given}"), "traceback": printable(compact(given, clean))}


def _safe(value: object) -> object:
    """`value` with every text in it cleaned; of bytes only their number; of other records what they say of themselves
    (those with secrets say little)."""
    kind = type(value)
    if kind in _SAFE:
        return value
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{len(cast('bytes', value))} bytes"
    if isinstance(value, Trace):
        return printable(value.text)
    if isinstance(value, Struct) and _holds_only_safe(kind):
        _SAFE.add(kind)
        return value
    if isinstance(value, dict):
        items = cast("dict[object, object]", value).items()
        return {clean(str(key)): _safe(part) for key, part in items}
    if isinstance(value, list | tuple | set | frozenset):
        return [_safe(part) for part in cast("list[object]", value)]
    if isinstance(value, BaseException):
        return clean(f"{kind.__name__}: {value}")
    return clean(str(value))


@cache
def _holds_only_safe(record: type[Struct]) -> bool:
    try:
        hints = get_type_hints(record)
    except NameError:
        return False
    return all(set(getattr(hints[name], "__args__", (hints[name],))) <= _SAFE for name in record.__struct_fields__)


def _word(value: object) -> str:
    if isinstance(value, str) and value and not (" " in value or "=" in value or '"' in value):
        return value
    return _encode(value).decode()
