"""What numbers may cost a schema, and what an event costs, told before it is read."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.event_types.catalogue import Catalogue
from daemon.event_types.numbers import MOST_DIGITS, MOST_NUMBERS, costly
from daemon.event_types.weight import values
from daemon.settings import EventTypeSettings

NAME = "reading.taken"
HUNDREDTHS = b'{"properties":{"n":{"items":{"multipleOf":0.01}}}}'
CHECKED = Catalogue({NAME: EventTypeSettings(subject="Reading", text=HUNDREDTHS)})
UNCHECKED = Catalogue({NAME: EventTypeSettings(subject="Reading")})
TOO_LONG = f"has more than {MOST_DIGITS} digits when written without an exponent; send it as a string"

NUMBER = st.from_regex(r"\A-?(0|[1-9][0-9]{0,110})(\.[0-9]{1,110})?([eE][+-]?[0-9]{1,3})?\Z")
TEXT = st.from_regex(r"\A[0-9.e+\-\[{,]{0,120}\Z").map(json.dumps)
VALUE = st.recursive(
    NUMBER | TEXT | st.sampled_from(["null", "true"]),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda parts: "[" + " ,".join(parts) + "]")
        | st.dictionaries(st.sampled_from("abc"), inner).map(
            lambda members: "{" + ",".join(f'"{name}": {value}' for name, value in members.items()) + "}"
        )
    ),
    max_leaves=12,
)


def told(subject: str, types: Catalogue = CHECKED) -> list[tuple[str, str]]:
    kind = types.get(NAME)
    assert kind is not None
    raw = f'{{"event":"{NAME}","reading":{subject}}}'.encode()
    found = kind.examine(kind.decode(raw), raw, keyed=True).faults
    return [("".join(f"/{step}" for step in fault.path), fault.detail) for fault in found]


def parsed(text: str) -> dict[str, object]:
    return json.loads(text, parse_float=Decimal)


@pytest.mark.parametrize(
    "number",
    ["1" * 101, "-" + "9" * 4000, "0." + "0" * 100, "1" * 60 + "." + "1" * 41, "1e100", "1e4000", "1E-100", "0e-100"],
)
def test_a_number_that_is_slow_to_compare_is_refused_before_it_is_and_pointed_at(number: str) -> None:
    assert told(f'{{"n":[1,{{"x":{number}}}]}}') == [("/reading/n/1/x", TOO_LONG)]
    assert told(f'{{"n":[1,{{"x":{number}}}]}}', UNCHECKED) == []
    assert told(f'{{"n":["{number}"]}}') == []


@pytest.mark.parametrize("number", ["1" * 100, "-" + "1" * 98 + ".25", "1e99", "1." + "0" * 99])
def test_a_number_of_as_many_digits_as_may_be_is_checked(number: str) -> None:
    assert told(f'{{"n":[{number}]}}') == []
    assert told(f'{{"n":[{number},0.001]}}') == [("/reading/n/1", "must be a multiple of 0.01")]


@pytest.mark.parametrize(("number", "most"), [("1", 10_000), ("1.5", 10_000), ("1" * 20, 5000), ("1e99", 1000)])
def test_more_numbers_than_are_checked_in_a_moment_are_refused_long_ones_earlier(number: str, most: int) -> None:
    def many(count: int) -> str:
        return f'{{"n":[{",".join([number] * count)}]}}'

    assert told(many(most)) == []
    [(pointer, detail)] = told(many(most + 1))
    assert pointer == "/reading"
    assert f"too many numbers for its schema: {MOST_NUMBERS} may have" in detail
    assert told(many(most + 1), UNCHECKED) == []


def test_any_number_of_other_values_is_checked() -> None:
    assert told(f'{{"n":[{",".join(["{},true,null"] * 18_000)}]}}') == []


@given(VALUE)
def test_no_text_hides_a_number_that_costs_too_much(value: str) -> None:
    text = f'{{"n":{value}}}'
    assert costly(parsed(text), text.encode(), values(text.encode())) == costly(parsed(text), text.encode(), 1 << 40)


@given(VALUE)
def test_a_text_holds_no_more_values_than_it_is_taken_for(value: str) -> None:
    waiting, count = [json.loads(value)], -1
    while waiting:
        outer = waiting.pop()
        count += 1
        waiting.extend(outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())
    assert values(value.encode()) >= count
