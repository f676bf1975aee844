"""Types as JSON Schema (2020-12), tidied: what msgspec says of them, in the words and shapes of the API."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Schema = dict[str, Any]

REF = "#/components/schemas/"
_NULL = {"type": "null"}
_LIST = re.compile(r"Listing_(\w+?)_$")


class Schemas:
    """`components` are all schemas by name; `of` is the schema of one of the types given: a reference to one."""

    def __init__(self, types: Iterable[Any], event_types: Sequence[str]) -> None:
        kinds = list(dict.fromkeys(types))
        made, components = msgspec.json.schema_components(kinds, ref_template=REF + "{name}")
        names = {name: _public(name) for name in components}
        if len(set(names.values())) < len(names):
            raise ValueError(f"two types have one name in the document: {sorted(names.values())}")
        tidy = _Tidy(names, event_types)
        self._of = {kind: tidy(schema) for kind, schema in zip(kinds, made, strict=True)}
        self.components = {names[name]: tidy(schema) for name, schema in sorted(components.items())}

    def of(self, kind: Any) -> Schema:
        return self._of[kind]

    def whole(self, schema: Schema) -> Schema:
        """What a schema refers to, or itself."""
        reference = schema.get("$ref")
        return schema if reference is None else self.components[reference.removeprefix(REF)]

    def properties(self, kind: Any) -> dict[str, Schema]:
        return self.whole(self.of(kind)).get("properties", {})


def _public(name: str) -> str:
    """The name of a type as clients see it: records need not say that they are views."""
    found = _LIST.match(name)
    return f"{_public(found[1])}List" if found else name.removesuffix("View").removesuffix("Document")


@dataclass(frozen=True)
class _Tidy:
    """`names` are those that clients see, by msgspec's."""

    names: dict[str, str]
    event_types: Sequence[str]

    def __call__(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self(one) for one in cast("list[Any]", value)]
        if not isinstance(value, dict):
            return value
        given = cast("Schema", value)
        schema = {key: part if key in ("examples", "default") else self(part) for key, part in given.items()}
        if isinstance(schema.get("title"), str):
            del schema["title"]
        if "default" in schema and schema["default"] is None:
            del schema["default"]  # null stands for left out
        if isinstance(text := schema.get("description"), str):
            schema["description"] = " ".join(text.split())
        if isinstance(pattern := schema.get("pattern"), str):
            schema["pattern"] = pattern.replace(r"(?!\n)", "")  # for Python's $ alone
        if isinstance(reference := schema.get("$ref"), str):
            schema["$ref"] = REF + self.names[reference.removeprefix(REF)]
        if schema.pop("x-event-type", False):
            schema["enum"] = list(self.event_types)
        return _nullable(schema)


def _nullable(schema: Schema) -> Schema:
    """`anyOf` a plain type and null as one type; what the plain type says of itself goes for both."""
    branches = schema.get("anyOf")
    if not isinstance(branches, list) or _NULL not in branches or len(cast("list[Any]", branches)) != 2:
        return schema
    (plain,) = (branch for branch in cast("list[Schema]", branches) if branch != _NULL)
    if "$ref" in plain or "anyOf" in plain:
        return schema
    rest = {key: part for key, part in schema.items() if key != "anyOf"}
    if "enum" in plain:
        return {**plain, "enum": [*plain["enum"], None], "type": [*_types(plain), "null"], **rest}
    return {**plain, "type": [*_types(plain), "null"], **rest}


def _types(schema: Schema) -> list[str]:
    kind = schema.get("type", "string")
    return list(cast("list[str]", kind)) if isinstance(kind, list) else [kind]
