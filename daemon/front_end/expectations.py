"""What a type expects at a place in a document, in words: a decoder names the rule that was broken, but a person needs
the values that are allowed. Pure; looked up only when something was wrong."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from msgspec import inspect

if TYPE_CHECKING:
    from collections.abc import Iterator

_STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[([0-9]+)\]")


def steps(place: str) -> Iterator[str]:
    """The names and indices of msgspec's `$.a[0].b`. Names there are those of known fields."""
    return (name or index for name, index in _STEP.findall(place))


def expected(kind: Any, place: str) -> str | None:
    """What may follow "must be" for the type at `place` within `kind`: what its `Meta(extra={"expected": …})` says, or
    its values. None if it says nothing of itself."""
    found: inspect.Type | None = inspect.type_info(kind)
    for step in steps(place):
        found = None if found is None else _inside(found, step)
    return None if found is None else _words(found)


def _alternatives(kind: inspect.Type) -> Iterator[inspect.Type]:
    if isinstance(kind, inspect.Metadata):
        yield from _alternatives(kind.type)
    elif isinstance(kind, inspect.UnionType):
        for one in kind.types:
            yield from _alternatives(one)
    else:
        yield kind


def _inside(kind: inspect.Type, step: str) -> inspect.Type | None:
    for one in _alternatives(kind):
        if isinstance(one, inspect.ListType):
            return one.item_type
        if isinstance(one, inspect.StructType):
            return next((field.type for field in one.fields if field.encode_name == step), None)
    return None


def _words(kind: inspect.Type) -> str | None:
    if isinstance(kind, inspect.Metadata):
        extra = cast("dict[str, str]", kind.extra or {})  # pyright: ignore[reportUnknownMemberType] msgspec: just a dict
        return extra.get("expected") or _words(kind.type)
    if isinstance(kind, inspect.UnionType):
        return next(filter(None, map(_words, kind.types)), None)
    if isinstance(kind, inspect.LiteralType):
        return f"one of {', '.join(map(str, kind.values))}"
    return None
