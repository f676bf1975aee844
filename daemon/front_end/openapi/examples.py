"""A value that a schema allows, made of the examples that its fields have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daemon.front_end.openapi.schemas import Schema, Schemas

_PLAIN = {"string": "text", "integer": 1, "number": 1.5, "boolean": True, "null": None}


def example(schema: Schema, schemas: Schemas, *, sent: bool = False) -> Any:
    """`sent`: of a request, so without what is read only and without what is optional and has no example."""
    if "examples" in schema:
        return schema["examples"][0]
    schema = schemas.whole(schema)
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return example(schema["anyOf"][0], schemas, sent=sent)
    kinds: list[str] | str = schema.get("type", "object")
    kind = kinds if isinstance(kinds, str) else kinds[0]
    if kind == "object":
        return {
            name: example(part, schemas, sent=sent)
            for name, part in schema.get("properties", {}).items()
            if not sent or _worth_sending(name, part, schema)
        }
    if kind == "array":
        return [example(schema["items"], schemas, sent=sent)]
    return _PLAIN[kind]


def _worth_sending(name: str, part: Schema, schema: Schema) -> bool:
    if name in schema.get("required", ()):
        return True
    return not part.get("readOnly") and ("examples" in part or "$ref" in part or "anyOf" in part)
