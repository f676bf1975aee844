"""Event types of the configuration in the document: how they are published, and what receivers get of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from daemon.events import SESSION_COMPLETED
from daemon.front_end.openapi.deliveries import sent
from daemon.front_end.openapi.schemas import REF

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.event_types.kinds import Description
    from daemon.front_end.openapi.schemas import Schema

_SESSION = "PublishedEvent"
_OF_ITS_OWN = ('"$ref"', '"$id"', '"$anchor"', '"$dynamicRef"')
"""What would mean something else inside another document."""


def add_event_types(content: dict[str, Any], types: Iterable[Description]) -> None:
    """Beside the session's, which the code has types for, to what POST /v1/events takes and to the `webhooks`."""
    schemas: dict[str, Schema] = content["components"]["schemas"]
    body = content["paths"]["/v1/events"]["post"]["requestBody"]["content"]["application/json"]
    every: list[Schema] = [{"$ref": REF + _SESSION}]
    for one in types:
        if one.field is None or one.name == SESSION_COMPLETED:
            continue
        name = f"{_SESSION}.{one.name}"
        subject = {"description": one.description, **_embedded(one)}
        schemas[name] = _published(schemas[_SESSION], one, one.field, subject)
        body["schema"]["anyOf"].append({"$ref": REF + name})
        every.append({"$ref": REF + name})
        if one.published is not None:
            body["examples"][one.name] = {"value": msgspec.json.decode(one.published)}
        content["webhooks"][one.name] = {"post": sent(one.name, one.description, *_delivered(one, subject))}
    if len(every) > 1:
        schemas["EventBatch"]["properties"]["events"]["items"] = {"anyOf": every}


def _embedded(one: Description) -> Schema:
    """Its schema, unless that leads to places in itself: GET /v1/event-types/{name} has it in any case."""
    text = b"{}" if one.schema is None else bytes(one.schema)
    found: Any = msgspec.json.decode(text)
    if not isinstance(found, dict) or any(word.encode() in text for word in _OF_ITS_OWN):
        return {"type": "object"}
    schema: Schema = {key: part for key, part in found.items() if key not in ("$schema", "$comment")}  # pyright: ignore[reportUnknownVariableType] any JSON
    return {"type": "object", **schema}


def _published(session: Schema, one: Description, field: str, subject: Schema) -> Schema:
    properties = {key: part for key, part in session["properties"].items() if key != "session"}
    event = {"type": "string", "description": "The event type.", "enum": [one.name]}
    return {
        **session,
        "description": f"An event of the type {one.name}: {one.description}",
        "properties": {**properties, "event": event, field: subject},
        "required": ["event", field],
    }


def _delivered(one: Description, subject: Schema) -> tuple[Schema, Any]:
    schema = {
        "type": "object",
        "description": one.description,
        "properties": {
            "Event": {"type": "string", "description": "The event type.", "enum": [one.name]},
            "Timestamp": {"type": "string", "description": "When it happened.", "format": "date-time"},
            one.subject: subject,
        },
        "required": ["Event", "Timestamp", one.subject],
    }
    return schema, None if one.delivered is None else msgspec.json.decode(one.delivered)
