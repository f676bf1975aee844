"""What a document says of a field of a record: the same wherever the record is."""

from __future__ import annotations

from msgspec import Meta


def described(description: str, *examples: object, **schema: object) -> Meta:
    """A sentence, values that may be copied, and what else JSON Schema has for it.

    It binds nobody: rules that a decoder must keep are a `Meta` of its own arguments."""
    return Meta(description=description, examples=list(examples) or None, extra_json_schema=schema or None)
