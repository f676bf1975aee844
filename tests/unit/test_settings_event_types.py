"""`[events."…"]`: a table of the operator's own names, and files that have to be what they say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from daemon.settings import Settings, SettingsError, describe, load
from daemon.settings.event_types import MOST_TYPES

if TYPE_CHECKING:
    from pathlib import Path

VARIABLE = "TENANT_WEBHOOKS_EVENTS"
SCHEMA = '{"type": "object", "required": ["id"]}'


def written(folder: Path, text: str, schema: str | None = SCHEMA) -> str:
    path = folder / "tenant-webhooks.toml"
    path.write_text(text)
    if schema is not None:
        (folder / "schemas").mkdir(exist_ok=True)
        (folder / "schemas" / "payment.json").write_text(schema)
    return str(path)


def refused(path: str | None, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as error:
        load(path, environ or {})
    (problem,) = error.value.problems
    return problem


def test_a_type_is_read_with_its_schema_from_beside_the_configuration(tmp_path: Path) -> None:
    text = """
[events."payment.completed"]
subject = "Payment"
description = "Booked."
schema = "schemas/payment.json"
example = {id = 1, at = 2025-10-21T11:00:00Z, text = "x"}
[events."b.c"]
subject = "B"
"""
    settings = load(written(tmp_path, text), {})
    own = settings.events["payment.completed"]
    assert (own.subject, own.description, own.text) == ("Payment", "Booked.", SCHEMA.encode())
    assert describe(settings)["events"] == {
        "payment.completed": {
            "subject": "Payment",
            "description": "Booked.",
            "schema": "schemas/payment.json",
            "example": {"id": 1, "at": "2025-10-21T11:00:00Z", "text": "x"},
        },
        "b.c": {"subject": "B", "description": "", "schema": ""},
    }


def test_a_variable_takes_the_place_of_all_of_them(tmp_path: Path) -> None:
    path = written(tmp_path, '[events."a.b"]\nsubject = "A"\n')
    types = {"payment.completed": {"subject": "Payment", "schema": "schemas/payment.json"}}
    assert list(load(path, {VARIABLE: json.dumps(types)}).events) == ["payment.completed"]
    assert load(path, {VARIABLE: "{}"}).events == {} == Settings().events


@pytest.mark.parametrize(
    ("table", "schema", "message"),
    [
        ("", None, 'events."payment.completed".subject: is missing; write '),
        ("subject = 1", None, 'events."payment.completed".subject: write text'),
        ('subject = "payment"', None, 'events."payment.completed".subject = "payment": write a name in PascalCase'),
        ('subject = "Event"', None, 'events."payment.completed".subject = "Event": is what another member'),
        (
            'subject = "P"\nschemas = "x"',
            None,
            'events."payment.completed"."schemas": there is no such key; ',
        ),
        ('subject = "P"\nschema = "no.json"', None, "no.json cannot be read: No such file or directory"),
        ('subject = "P"\nschema = "schemas"', SCHEMA, "cannot be read: Is a directory"),
        ('subject = "P"\nschema = "schemas/payment.json"', "", "is empty"),
        ('subject = "P"\nschema = "schemas/payment.json"', "{", "payment.json is not JSON"),
        (
            'subject = "P"\nschema = "schemas/payment.json"',
            '{"properties": {"a": {"type": "strin"}}}',
            "payment.json at /properties/a/type: ",
        ),
        (
            'subject = "P"\nschema = "schemas/payment.json"',
            '{"$ref": "https://example.com/x"}',
            "payment.json has a $ref that leads nowhere: ",
        ),
        (
            'subject = "P"\nschema = "schemas/payment.json"\nexample = {}',
            SCHEMA,
            'events."payment.completed".example does not fit: at /id: is required; add it',
        ),
        (
            'subject = "P"\nschema = "schemas/payment.json"',
            '{"examples": [1]}',
            "its first example does not fit: at the top: must be an object",
        ),
        (f'subject = "P"\ndescription = "{"x" * 1001}"', None, "description: has more than 1000 characters"),
    ],
)
def test_what_cannot_be_used_is_named_with_file_and_place(
    tmp_path: Path, table: str, schema: str | None, message: str
) -> None:
    path = written(tmp_path, f'[events."payment.completed"]\n{table}\n', schema)
    problem = refused(path)
    assert message in problem
    assert problem.endswith(f"({path})")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[events."webhook.created"]\nsubject = "A"', 'events."webhook.created": is built in'),
        ('[events."onboard.session.completed"]\nsubject = "A"', "is built in"),
        ("[events.payment.completed]\nsubject = 'A'", 'events."payment": the name of an event type is lower-case'),
        ("events = 1", "write a table for each type"),
        ("[events]\n'a.b' = 1", 'events."a.b": write a table'),
        ("".join(f'[events."a.b{n}"]\nsubject = "A"\n' for n in range(MOST_TYPES + 1)), "at most 100 are allowed"),
    ],
)
def test_what_is_no_event_type_is_named(tmp_path: Path, text: str, message: str) -> None:
    assert message in refused(written(tmp_path, text))


@pytest.mark.parametrize("value", ["", "[1]", "x", "[" * 100_000, '{"a.b": {"subject": "A", "x": 1}}'])
def test_a_variable_that_is_no_table_of_types_is_refused(value: str) -> None:
    assert f"variable {VARIABLE}" in refused(None, {VARIABLE: value})
