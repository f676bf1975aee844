"""Bodies: whatever arrives is decoded or refused as a problem, and the pointer leads to the culprit."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from daemon.front_end.decoding import body_of, culprit, decode, escape
from daemon.front_end.problems import Problem
from daemon.front_end.routes.events import split
from daemon.front_end.routes.webhooks import NewWebhook


class Leaf(Struct, forbid_unknown_fields=True, rename="camel"):
    session_id: Annotated[str, Meta(min_length=1, max_length=3)] = "a"
    count: Annotated[int, Meta(ge=1, le=9)] = 1

    kind: Literal["oak", "elm"] | None = None
    label: Annotated[str, Meta(pattern="^[a-z]*$", extra={"expected": "small letters"})] = ""


class Tree(Struct, forbid_unknown_fields=True):
    leaf: Leaf
    many: list[Leaf] = []
    inner: Tree | None = None


TREE = body_of(Tree)


def resolve(document: Any, pointer: str) -> Any:
    """RFC 6901 §4."""
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        document = document[int(name)] if isinstance(document, list) else document[name]
    return document


def refused(raw: bytes) -> Problem:
    with pytest.raises(Problem) as caught:
        TREE.decode(raw)
    return caught.value


@pytest.mark.parametrize(
    ("document", "pointer", "detail"),
    [
        ({}, "/leaf", "is required; add it"),
        ({"leaf": 5}, "/leaf", "must be an object, not a whole number"),
        ({"leaf": None}, "/leaf", "must be an object, not null"),
        ({"leaf": {"sessionId": 1}}, "/leaf/sessionId", "must be a string, not a whole number"),
        ({"leaf": {"sessionId": ""}}, "/leaf/sessionId", "must have at least 1 character"),
        ({"leaf": {"sessionId": "abcd"}}, "/leaf/sessionId", "must have at most 3 characters"),
        ({"leaf": {"count": 10}}, "/leaf/count", "must be at most 9"),
        ({"leaf": {"count": True}}, "/leaf/count", "must be a whole number, not true or false"),
        ({"leaf": {"kind": "ash"}}, "/leaf/kind", "must be one of elm, oak"),
        ({"leaf": {}, "many": [{}, {"label": "A"}]}, "/many/1/label", "must be small letters"),
        ({"leaf": {}, "many": {}}, "/many", "must be an array, not an object"),
        ({"leaf": {}, "many": [{}, {"x": 1}]}, "/many/1/x", "is not a field of this object; remove it"),
        ({"leaf": {}, "inner": {"leaf": {}, "inner": {}}}, "/inner/inner/leaf", "is required; add it"),
        ({"leaf": {}, "a/b~c": 1}, "/a~1b~0c", "is not a field of this object; remove it"),
        ([], "", "must be an object, not an array"),
        ("x", "", "must be an object, not a string"),
    ],
)
def test_the_pointer_and_the_sentence_name_the_culprit(document: Any, pointer: str, detail: str) -> None:
    problem = refused(json.dumps(document).encode())
    assert problem.slug == "invalid"
    [found] = problem.document.errors
    assert (found.pointer, found.detail) == (pointer, detail)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"{",
        b"{} x",
        b"nil",
        b"\xef\xbb\xbf{}",
        b'{"leaf":{"sessionId":"\xff"}}',
        b'{"leaf": 5, broken',
        b"{'a':1}",
    ],
)
def test_what_is_not_json_is_refused_as_such_even_after_a_wrong_type(raw: bytes) -> None:
    assert refused(raw).slug == "not-json"


def test_nesting_without_end_is_refused_and_does_not_break_the_daemon() -> None:
    for raw in (b"[" * 200_000, b'{"x":' * 200_000, b'{"leaf":' + b"[" * 200_000):
        assert refused(raw).slug in ("invalid", "not-json")


@given(st.text(max_size=255))
def test_an_unknown_member_is_found_again_by_its_pointer_whatever_its_name(name: str) -> None:
    if name in ("leaf", "many", "inner") or " - at `$" in name:
        return
    try:
        encoded = json.dumps({"leaf": {}, "many": [{}], name: "here"}, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return
    problem = refused(encoded)
    assert resolve(json.loads(encoded), problem.document.errors[0].pointer or "") == "here"


@given(st.text(max_size=255))
def test_escaping_is_undone_by_the_rules_of_rfc_6901(name: str) -> None:
    assert resolve({name: 1}, f"/{escape(name)}") == 1


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_decoded_or_refused_with_a_problem(raw: bytes) -> None:
    for decoder in (TREE.decode, body_of(NewWebhook).decode, split):
        with suppress(Problem):
            decoder(raw)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text("ab/~`"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab/~`"), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["leaf", "many", "inner", "x"]), json_values))
def test_every_pointer_leads_into_the_document_or_to_a_member_missing_there(document: dict[str, Any]) -> None:
    try:
        TREE.decode(json.dumps(document).encode())
    except Problem as problem:
        for found in problem.document.errors:
            assert found.pointer is not None
            if "required" in found.detail:
                parent = resolve(document, found.pointer.rpartition("/")[0])
                assert found.pointer.rpartition("/")[2] not in parent
            else:
                resolve(document, found.pointer)


@given(st.text())
def test_any_complaint_of_a_decoder_becomes_a_culprit(message: str) -> None:
    assert culprit(message, "/events/0").pointer is not None


def test_the_prefix_goes_before_every_pointer() -> None:
    with pytest.raises(Problem) as caught:
        decode(msgspec.json.Decoder(Tree).decode, b'{"leaf":{"count":"x"}}', kind=Tree, prefix="/events/7")
    assert caught.value.document.errors[0].pointer == "/events/7/leaf/count"


@pytest.mark.parametrize("number", [b"1" * 6000, b"1e999"])
def test_a_number_beyond_every_range_is_refused_in_words_for_a_person(number: bytes) -> None:
    problem = refused(b'{"leaf":{"count":' + number + b"}}")
    assert problem.slug == "invalid"
    assert problem.document.detail == "/leaf/count: is a number with too many digits"


@given(st.text(min_size=256, max_size=2000))
def test_a_name_of_any_length_makes_a_short_pointer(name: str) -> None:
    assert len(escape(name)) <= 2 * 255 + 1


@pytest.mark.parametrize(("item", "pointer"), [(b"1", "/events/0"), (b"{}", "/events/0/event")])
def test_of_very_many_tiny_items_the_first_is_refused_before_any_is_kept(item: bytes, pointer: str) -> None:
    with pytest.raises(Problem) as caught:
        split(b'{"events":[' + b",".join([item] * 50_000) + b"]}")
    assert [culprit.pointer for culprit in caught.value.document.errors] == [pointer]


def test_a_large_event_of_tiny_values_is_one_event() -> None:
    event = b'{"event":"payment.completed","payment":{"a":[' + b",".join([b"1"] * 50_000) + b"]}}"
    assert split(event).events == [event]
    assert [bytes(one) for one in split(b'{"events":[' + event + b"]}").events] == [event]
