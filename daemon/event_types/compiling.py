"""From the settings of an event type to the type itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from daemon.event_types.kinds import ConfiguredType

if TYPE_CHECKING:
    from daemon.settings import EventTypeSettings

_ANY_OBJECT = b'{"type":"object"}'


class UnfitExample(ValueError):
    """The example is none; the message says where and why."""


class _Examples(Struct, frozen=True):
    examples: list[Raw] | UnsetType = UNSET


def compiled(name: str, its: EventTypeSettings) -> ConfiguredType:
    """Raises SchemaError; UnfitExample. Blocks for some milliseconds."""
    schema, text = None, its.text or _ANY_OBJECT
    if its.text:
        # Here and not above: most daemons have no types of their own.
        from daemon.event_types.json_schema import JsonSchema

        schema = JsonSchema(text)
    example = _first(text) if its.example is None else msgspec.json.encode(its.example)
    made = ConfiguredType(name, its.subject, its.description, schema, text, example)
    published = made.description.published
    for fault in () if published is None else made.examine(made.decode(published), published, keyed=False).faults:
        place = "".join(f"/{step}" for step in fault.path[1:]) or "the top"
        raise UnfitExample(f"at {place}: {fault.detail}")
    return made


def _first(text: bytes) -> bytes | None:
    """The first of a schema's own examples."""
    try:
        examples = msgspec.json.decode(text, type=_Examples).examples
    except msgspec.ValidationError:
        return None
    return bytes(examples[0]) if examples else None
