"""Schemas in words: the fields of an object, the type of a value."""

from __future__ import annotations

from html import escape
from typing import Any, cast

from daemon.front_end.docs.markup import inline

Schema = dict[str, Any]

_BOUNDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {}",
    "maxItems": "at most {}",
}


def fields_of(schema: Schema) -> str:
    """A list of the fields of an object."""
    required = schema.get("required", ())
    items = "".join(entry(name, part, required=name in required) for name, part in schema.get("properties", {}).items())
    return f"<dl>{items}</dl>" if items else ""


def entry(name: str, schema: Schema, *, required: bool, description: str | None = None) -> str:
    """One field or parameter."""
    said = schema.get("description", "") if description is None else description
    must = " · required" if required else ""
    return f"<dt><code>{escape(name)}</code> <small>{type_of(schema)}{must}</small></dt><dd>{inline(said)}</dd>"


def type_of(schema: Schema) -> str:
    """As HTML: references are links to their schemas on the same page."""
    if reference := schema.get("$ref"):
        name = escape(reference.rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(type_of(one) for one in schema["anyOf"])
    if "enum" in schema:
        values = ["null" if one is None else f"<code>{escape(str(one))}</code>" for one in schema["enum"]]
        return f"one of {', '.join(values)}" if len(values) > 1 else f"always {values[0]}"
    kinds = schema.get("type", "anything")
    names = [_named(kind, schema) for kind in (cast("list[str]", kinds) if isinstance(kinds, list) else [str(kinds)])]
    bounds = [words.format(schema[key]) for key, words in _BOUNDS.items() if key in schema]
    return ", ".join([" or ".join(names), *bounds])


def _named(kind: str, schema: Schema) -> str:
    if kind == "array":
        return f"list of {type_of(schema.get('items', {}))}"
    if kind == "string" and "format" in schema:
        return {"date-time": "time", "uri": "URL"}.get(schema["format"], escape(schema["format"]))
    return {"integer": "whole number", "boolean": "true or false"}.get(kind, escape(kind))
