"""`[events."payment.completed"]`: tables whose names are the operator's, and the JSON Schemas that they name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec

from daemon.settings.records import EventTypeSettings

if TYPE_CHECKING:
    from pathlib import Path

MOST_TYPES = 100
LONGEST_DESCRIPTION = 1000  # characters
_KEYS = {"subject": str, "description": str, "schema": str, "example": dict[str, Any]}
_WANTED = {str: "text", dict[str, Any]: "a table"}


def event_types(tables: object, folder: Path, source: str, problems: list[str]) -> dict[str, EventTypeSettings]:
    """Those that can be used; what is wrong with the others is added to `problems`. The paths of schema files
    are relative to `folder`."""
    if not isinstance(tables, dict):
        problems.append(f'events ({source}): write a table for each type, such as [events."payment.completed"]')
        return {}
    named = cast("dict[str, object]", tables)
    if len(named) > MOST_TYPES:
        problems.append(f"events ({source}): there are {len(named)} types; at most {MOST_TYPES} are allowed")
        return {}
    made: dict[str, EventTypeSettings] = {}
    for name, table in named.items():
        try:
            made[name] = _event_type(name, table, folder)
        except ValueError as error:
            problems.append(f"events.{_quoted(name)}{error} ({source})")
    return made


def _event_type(name: str, table: object, folder: Path) -> EventTypeSettings:
    """Raises ValueError, whose text goes on after the name."""
    # Here and not above: most configurations have no types of their own.
    from daemon.event_types.compiling import UnfitExample, compiled
    from daemon.event_types.json_schema import SchemaError
    from daemon.event_types.names import check_name, check_subject

    _told("", check_name, name)
    given = _decoded(table)
    if "subject" not in given:
        raise ValueError('.subject: is missing; write the name of what the event is about, such as "Payment"')
    _told(".subject", check_subject, given["subject"])
    if len(given.get("description", "")) > LONGEST_DESCRIPTION:
        raise ValueError(f".description: has more than {LONGEST_DESCRIPTION} characters; shorten it")
    path = folder / given["schema"] if given.get("schema") else None
    its = EventTypeSettings(**given, text=b"" if path is None else _text(path))
    try:
        compiled(name, its)
    except SchemaError as error:
        raise ValueError(f".schema: {path} {error}") from None
    except (UnfitExample, TypeError) as error:
        where = ".example" if its.example is not None else f".schema: {path}: its first example"
        raise ValueError(f"{where} does not fit: {error}") from None
    return its


def _decoded(table: object) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise ValueError(": write a table, with at least a subject")
    given: dict[str, Any] = {}
    for key, value in cast("dict[str, object]", table).items():
        if key not in _KEYS:
            raise ValueError(f".{_quoted(key)}: there is no such key; there are {', '.join(_KEYS)}")
        try:
            given[key] = msgspec.convert(value, _KEYS[key])
        except msgspec.ValidationError:
            raise ValueError(f".{key}: write {_WANTED[_KEYS[key]]}") from None
    if "example" in given:
        given["example"] = msgspec.json.decode(msgspec.json.encode(given["example"]))  # TOML's times as texts
    return given


def _text(path: Path) -> bytes:
    from daemon.event_types.json_schema import MOST_BYTES

    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ValueError(f".schema: {path} cannot be read: {why}") from None
    if not text:
        raise ValueError(f".schema: {path} is empty; write a JSON Schema")
    return text


def _told(where: str, check: Any, value: str) -> None:
    try:
        check(value)
    except ValueError as error:
        raise ValueError(f"{where} = {_quoted(value)}: {error}" if where else f": {error}") from None


def _quoted(text: str) -> str:
    shown = msgspec.json.encode(text).decode()
    return shown if len(shown) <= 120 else f"{shown[:119]}…"
