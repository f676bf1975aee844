"""What we lean on in jsonschema-rs, and what hostile values must not be able to do."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import Any

import pytest

from daemon.event_types.json_schema import MOST_FAULTS, JsonSchema, SchemaError

SECONDS = 0.25  # a few milliseconds on a quiet machine; what these tests are about takes minutes

PAYMENT = {
    "type": "object",
    "required": ["id", "amount"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string", "pattern": "^pay_[a-z0-9]+$", "minLength": 5, "maxLength": 10},
        "amount": {"type": "number", "exclusiveMinimum": 0, "maximum": 100, "multipleOf": 0.01},
        "currency": {"enum": ["EUR", "USD"]},
        "at": {"type": "string", "format": "date-time"},
        "kind": {"const": "in"},
        "lines": {"type": "array", "uniqueItems": True, "minItems": 1, "maxItems": 2, "items": {"type": "integer"}},
        "party": {"oneOf": [{"required": ["person"]}, {"required": ["company"]}]},
        "never": False,
    },
}
TREE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "anyOf": [
                {"properties": {"a": {"$ref": "#/$defs/node"}}, "required": ["x"]},
                {"properties": {"a": {"$ref": "#/$defs/node"}}, "required": ["y"]},
            ]
        }
    },
}


def schema(document: object) -> JsonSchema:
    return JsonSchema(json.dumps(document).encode())


def told(document: object, value: object, *, large: bool = False) -> list[tuple[str, str]]:
    faults = schema(document).faults(value, large=large)
    return [("".join(f"/{step}" for step in fault.path), fault.detail) for fault in faults]


def timed(document: object, value: object, *, large: bool) -> list[tuple[str, str]]:
    made = schema(document)
    began = time.thread_time()
    faults = made.faults(value, large=large)
    assert time.thread_time() - began < SECONDS
    return [("".join(f"/{step}" for step in fault.path), fault.detail) for fault in faults]


@pytest.mark.parametrize(
    ("change", "where", "what"),
    [
        ({"id": 1}, "/id", "must be a string"),
        ({"id": ""}, "/id", "must have at least 5 characters"),
        ({"id": "pay_0123456789"}, "/id", "must have at most 10 characters"),
        ({"id": "PAY_01"}, "/id", "must match the pattern ^pay_[a-z0-9]+$"),
        ({"amount": Decimal("0.0")}, "/amount", "must be more than 0"),
        ({"amount": Decimal("100.01")}, "/amount", "must be at most 100"),
        ({"amount": Decimal("19.999")}, "/amount", "must be a multiple of 0.01"),
        ({"amount": 10**30}, "/amount", "must be at most 100"),
        ({"amount": Decimal("1e400")}, "/amount", "must be at most 100"),
        ({"currency": "GBP"}, "/currency", 'must be one of "EUR","USD"'),
        ({"at": "yesterday"}, "/at", "must have the format date-time"),
        ({"kind": "out"}, "/kind", 'must be "in"'),
        ({"lines": []}, "/lines", "must have at least 1 items"),
        ({"lines": [1, 2, 3]}, "/lines", "must have at most 2 items"),
        ({"lines": [1, 1]}, "/lines", "must not hold the same item twice"),
        ({"lines": [1, Decimal("1.5")]}, "/lines/1", "must be a whole number"),
        ({"party": {}}, "/party", "fits none of the alternatives that the schema allows"),
        (
            {"party": {"person": 1, "company": 2}},
            "/party",
            "fits more than one of the alternatives of which the schema allows one",
        ),
        ({"never": 1}, "/never", "is not allowed; remove it"),
        ({"more/~": 1}, "/more/~", "is not a field of this object; remove it"),
    ],
)
def test_each_fault_is_pointed_at_and_said_without_the_value(change: dict[str, Any], where: str, what: str) -> None:
    value = {"id": "pay_42", "amount": Decimal("19.99"), **change}
    assert (where, what) in told(PAYMENT, value)
    assert told(PAYMENT, value, large=True)[0][0] in (where, "")


def test_what_fits_has_no_faults_and_several_are_told_together() -> None:
    assert told(PAYMENT, {"id": "pay_42", "amount": Decimal("19.99"), "lines": [1, 2**80]}) == []
    assert told(PAYMENT, {"currency": 1}) == [
        ("/id", "is required; add it"),
        ("/amount", "is required; add it"),
        ("/currency", 'must be one of "EUR","USD"'),
    ]


def test_no_more_than_some_faults_are_told() -> None:
    items = {"items": {"type": "string"}, "properties": {"a": {}}, "additionalProperties": False}
    assert len(told(items, list(range(400)))) == MOST_FAULTS
    assert len(told(items, {f"k{n}": 1 for n in range(400)})) == MOST_FAULTS
    assert told({"additionalProperties": False}, {"a": 1}) == [("", "must be an empty object")]


@pytest.mark.parametrize("pattern", ["^(a+)+$", "(a*)*(a*)*(a*)*b", "(a|b|ab){1000}c", "(.*)(.*)(.*)(.*)(.*)!"])
def test_no_text_makes_a_pattern_slow(pattern: str) -> None:
    assert timed({"pattern": pattern}, "a" * 250_000 + "~", large=True)


def test_no_value_makes_a_schema_of_many_alternatives_slow() -> None:
    value: dict[str, object] = {}
    for _ in range(90):
        value = {"a": value}
    assert timed(TREE, value, large=False) == [("", "does not fit the schema of this event type")]


def test_a_recursive_schema_without_alternatives_still_tells_where() -> None:
    tree = {"properties": {"a": {"$ref": "#"}, "n": {"type": "string"}}}
    assert timed(tree, {"a": {"a": {"n": 1}}}, large=False) == [("/a/a/n", "must be a string")]


@pytest.mark.parametrize(
    ("document", "value"),
    [
        ({"items": {"type": "string"}}, list(range(60_000))),
        ({"items": {"anyOf": [{"type": "string"}, {"required": ["x"]}]}}, [{}] * 60_000),
        ({"uniqueItems": True, "maxItems": 3}, list(range(60_000))),
        ({"uniqueItems": True, "maxItems": 3}, [{"a": n} for n in range(30_000)]),
        ({"additionalProperties": False}, {f"k{n}": 1 for n in range(30_000)}),
        ({"type": "integer", "maximum": 3}, Decimal("1e99999999")),
        ({"multipleOf": 0.7}, Decimal("1e-99999999")),
        ({"multipleOf": 0.7}, int("9" * 4300)),
    ],
)
def test_no_size_of_what_is_wrong_makes_it_slow(document: object, value: object) -> None:
    assert timed(document, value, large=True)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"type": "strin"}, r"at /type: "),
        ({"properties": {"a": {"minLength": -1}}}, r"at /properties/a/minLength: "),
        ({"properties": {"a": {"pattern": "(?=a)b"}}}, r"at /properties/a/pattern: .*linear time"),
        ({"$ref": "https://example.com/x.json"}, r"\$ref .*https://example.com/x.json.* nothing is fetched"),
        ({"$defs": {"a": {"$ref": "http://127.0.0.1:1/x"}}}, r"\$ref .* nothing is fetched"),
        ({"$ref": "file:///etc/passwd"}, r"\$ref .* nothing is fetched"),
        ({"$ref": "other.json"}, r"\$ref .* nothing is fetched"),
        ({"$ref": "#/$defs/x"}, r"\$ref that leads nowhere"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, r"at /\$schema: only draft 2020-12"),
        ([1], "not a JSON object"),
        (True, "not a JSON object"),
        ({"title": "x" * 70_000}, "more than 65536 bytes"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_with_its_place(document: object, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        schema(document)


def test_a_schema_file_that_is_no_json_is_refused() -> None:
    for text in (b"{", b"\xff", b"[" * 60_000):
        with pytest.raises(SchemaError):
            JsonSchema(text)


def test_a_reference_to_the_dialect_needs_no_network() -> None:
    assert told({"$ref": "https://json-schema.org/draft/2020-12/schema"}, {"type": "string"}) == []
