"""A JSON Schema (draft 2020-12) as it is checked here: nothing is ever fetched, patterns take linear time, and what is
wrong is said in words of ours that repeat no value.

Whether a value fits is told quickly whatever it is. Why it does not is another matter: the library lists every culprit
before it gives the first, and for `anyOf` and `oneOf` those of each alternative, which a recursive schema multiplies
with every level of a hostile value. Hence `faults` tells less where more could hold everybody up.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import jsonschema_rs
import msgspec
from jsonschema_rs import ValidationErrorKind as Kind

from daemon.event_types.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.event_types.faults import Path

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MOST_BYTES = 65_536
MOST_FAULTS = 20

# Linear time, hence without look-around and back-references; other limits are the library's.
_PATTERNS = jsonschema_rs.RegexOptions()
_TYPES = {
    "string": "a string",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "an array",
    "object": "an object",
    "null": "null",
}


class SchemaError(ValueError):
    """The schema cannot be used; the message says where in it and what to change."""


class JsonSchema:
    """Made of a schema's JSON text. Raises SchemaError. Finding out whether a value fits blocks."""

    def __init__(self, text: bytes) -> None:
        document = _read(text)
        try:
            self._validator = jsonschema_rs.Draft202012Validator(
                text.decode(), pattern_options=_PATTERNS, validate_formats=True, offline=True, mask="it"
            )
        except ValueError as error:
            raise SchemaError(_complaint(error)) from None
        self._recursive = _is_recursive(document)
        self._chooses = any(key in ("anyOf", "oneOf") for part in _objects(document) for key in part)

    def faults(self, value: object, *, large: bool) -> list[Fault]:
        """What is wrong with `value`, at most 20 culprits, none if it fits; numbers are int or Decimal.
        Of a `large` one the first alone is told, or only that there is one."""
        if self._validator.is_valid(value):
            return []
        if self._chooses and (self._recursive or large):
            return [Fault((), "does not fit the schema of this event type")]
        if self._recursive or large:
            try:
                self._validator.validate(value)
            except jsonschema_rs.ValidationError as error:
                return [*_told(error)]
        errors = islice(self._validator.iter_errors(value), MOST_FAULTS)
        return [fault for error in errors for fault in _told(error)][:MOST_FAULTS]


def _read(text: bytes) -> dict[str, object]:
    if len(text) > MOST_BYTES:
        raise SchemaError(f"has more than {MOST_BYTES} bytes; shorten it")
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SchemaError(f"is not JSON: {error}") from None
    except RecursionError:
        raise SchemaError("is nested too deep") from None
    if not isinstance(document, dict):
        raise SchemaError("is not a JSON object; a schema here is one")
    document = cast("dict[str, object]", document)
    if document.get("$schema", DIALECT) not in (DIALECT, f"{DIALECT}#"):
        raise SchemaError(f'at /$schema: only draft 2020-12 is supported; write "{DIALECT}", or leave it out')
    return document


def _complaint(error: ValueError) -> str:
    if not isinstance(error, jsonschema_rs.ValidationError):
        return str(error)
    if isinstance(error.kind, Kind.Referencing):
        hint = "references are resolved within the file alone, nothing is fetched: put what is meant into its $defs"
        return f"has a $ref that leads nowhere: {error.kind.error.message}; {hint}"
    place = "".join(f"/{step}" for step in error.instance_path) or "the top"
    if error.message.endswith('is not a "regex"'):
        hint = "patterns match in linear time here: no look-around, no back-references, nothing huge"
        return f"at {place}: {error.message}; {hint}"
    return f"at {place}: {error.message}"


def _objects(document: object) -> Iterator[dict[str, object]]:
    """Every JSON object in a document, itself included."""
    waiting = [document]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            members = cast("dict[str, object]", part)
            yield members
            waiting.extend(members.values())
        elif isinstance(part, list):
            waiting.extend(cast("list[object]", part))


def _is_recursive(document: dict[str, object]) -> bool:
    """Whether a value can be checked against a part of the schema again, deeper. True also where it cannot be told."""
    under_way: set[str] = set()
    done: set[str] = set()

    def leads_back(pointer: str) -> bool:
        if pointer in under_way:
            return True
        if pointer in done:
            return False
        part = _at(document, pointer)
        if part is None:
            return True  # an anchor, another document: not followed
        under_way.add(pointer)
        for inner in _objects(part):
            if "$dynamicRef" in inner:
                return True
            reference = inner.get("$ref")
            if isinstance(reference, str) and leads_back(reference):
                return True
        under_way.discard(pointer)
        done.add(pointer)
        return False

    return leads_back("#")


def _at(document: dict[str, object], reference: str) -> object | None:
    fragment = reference.removeprefix("#")
    if reference == fragment or (fragment and not fragment.startswith("/")) or "%" in fragment:
        return None
    part: object = document
    for token in fragment.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        try:
            part = cast("Any", part)[int(name) if isinstance(part, list) else name]
        except (LookupError, ValueError, TypeError):
            return None
    return part


def _told(error: jsonschema_rs.ValidationError) -> Iterator[Fault]:
    """A missing or unknown member is pointed at itself, not at the object that lacks or holds it."""
    path: Path = tuple(error.instance_path)
    match error.kind:
        case Kind.Required(property=name):
            yield Fault((*path, name), "is required; add it")
        case Kind.AdditionalProperties(unexpected=names) | Kind.UnevaluatedProperties(unexpected=names):
            for name in names[:MOST_FAULTS]:
                yield Fault((*path, name), "is not a field of this object; remove it")
        case Kind.FalseSchema() if error.schema_path[-1:] == ["additionalProperties"]:
            yield Fault(path, "must be an empty object")
        case kind:
            yield Fault(path, _sentence(kind))


def _sentence(kind: Kind) -> str:
    match kind:
        case Kind.Type(types=types):
            return f"must be {' or '.join(_TYPES.get(name, name) for name in types)}"
        case Kind.Enum(options=options):
            return f"must be one of {_shown(options)[1:-1]}"
        case Kind.Constant(expected_value=value):
            return f"must be {_shown(value)}"
        case Kind.Minimum(limit=limit):
            return f"must be at least {limit}"
        case Kind.Maximum(limit=limit):
            return f"must be at most {limit}"
        case Kind.ExclusiveMinimum(limit=limit):
            return f"must be more than {limit}"
        case Kind.ExclusiveMaximum(limit=limit):
            return f"must be less than {limit}"
        case Kind.MultipleOf(multiple_of=step):
            return f"must be a multiple of {step}"
        case Kind.MinLength(limit=limit):
            return f"must have at least {limit} characters"
        case Kind.MaxLength(limit=limit):
            return f"must have at most {limit} characters"
        case Kind.MinItems(limit=limit):
            return f"must have at least {limit} items"
        case Kind.MaxItems(limit=limit):
            return f"must have at most {limit} items"
        case Kind.Pattern(pattern=pattern):
            return f"must match the pattern {_cut(pattern)}"
        case Kind.Format(format=name):
            return f"must have the format {_cut(name)}"
        case Kind.UniqueItems():
            return "must not hold the same item twice"
        case Kind.FalseSchema():
            return "is not allowed; remove it"
        case Kind.AnyOf() | Kind.OneOfNotValid():
            return "fits none of the alternatives that the schema allows"
        case Kind.OneOfMultipleValid():
            return "fits more than one of the alternatives of which the schema allows one"
        case _:
            return f"does not fit “{kind.name}” of the schema"


def _shown(value: object) -> str:
    return _cut(msgspec.json.encode(value, enc_hook=str).decode())


def _cut(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:199]}…"
