"""The subject of an event of a configured type: any JSON object, sent on as the bytes that were published.

Because it is not written anew, what several parsers would read differently is refused: the same name twice in an
object, and what is nested deeper than many of them go.
"""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, cast

from daemon.event_types.faults import Fault

if TYPE_CHECKING:
    from msgspec import Raw

    from daemon.event_types.faults import Path

MOST_LEVELS = 100
_LARGE = 500  # values, about

Value = dict[str, object]


class UnfitSubject(Exception):
    """Whatever the type's schema says, this is not sent on."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.detail)
        self.fault = fault


class _Twice(Exception):
    pass


class _Repeating(dict[str, object]):
    """An object with the member `name` twice."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        seen: set[str] = set()
        self.name = next(name for name, _ in pairs if name in seen or seen.add(name))


def _once(pairs: list[tuple[str, object]]) -> Value:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Twice
    return members


def _marked(pairs: list[tuple[str, object]]) -> Value:
    members = dict(pairs)
    return members if len(members) == len(pairs) else _Repeating(pairs)


# Not msgspec's, which tells nothing of a name that comes twice. A number is exact: int or Decimal.
_decoder = json.JSONDecoder(object_pairs_hook=_once, parse_float=Decimal)
_marking = json.JSONDecoder(object_pairs_hook=_marked, parse_float=str, parse_int=str)


def read(raw: Raw) -> Value:
    """The object in `raw`, which is JSON text already, its numbers exact. Raises UnfitSubject.
    Takes up to half a µs a value; other threads run meanwhile, but for some ms."""
    text = bytes(raw)
    if not text.startswith(b"{"):
        raise UnfitSubject(Fault((), "must be an object"))
    try:
        value: Value = _decoder.decode(text.decode())
    except _Twice:
        raise UnfitSubject(_repeated(text)) from None
    except (ValueError, InvalidOperation):  # Python bounds the digits of a whole number, Decimal its exponent
        raise UnfitSubject(Fault((), "holds a number with too many digits; send it as a string")) from None
    except RecursionError:
        raise UnfitSubject(_TOO_DEEP) from None
    if text.count(b"{") + text.count(b"[") > MOST_LEVELS and _levels(value) > MOST_LEVELS:
        raise UnfitSubject(_TOO_DEEP)
    return value


def is_large(values: int) -> bool:
    """Whether to list everything that is wrong with it could take long."""
    return values > _LARGE


_TOO_DEEP = Fault((), f"is nested deeper than {MOST_LEVELS} levels; send a flatter document")


def _levels(value: object) -> int:
    """How deep a value is nested, counted no further than one level more than may be."""
    level, depth = [cast("Value | list[object]", value)], 0
    while level and depth <= MOST_LEVELS:
        depth += 1
        level = [
            cast("Value | list[object]", part)
            for outer in level
            if outer  # very many empty ones come cheap
            for part in (outer.values() if isinstance(outer, dict) else outer)
            if type(part) is dict or type(part) is list
        ]
    return depth


def _inner(value: object) -> list[tuple[str | int, object]]:
    """The objects and arrays that a value holds itself."""
    if isinstance(value, dict):
        members = cast("dict[str, object]", value).items()
        return [(name, part) for name, part in members if isinstance(part, dict | list)]
    items = enumerate(cast("list[object]", value))
    return [(index, item) for index, item in items if isinstance(item, dict | list)]


def _repeated(text: bytes) -> Fault:
    try:
        waiting: list[tuple[Path, object]] = [((), _marking.decode(text.decode()))]
    except RecursionError:
        return _TOO_DEEP
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, _Repeating):
            return Fault((*path, value.name), "stands twice, which parsers read differently; send it once")
        waiting.extend(((*path, step), part) for step, part in _inner(value))
    raise AssertionError("no name stands twice")
