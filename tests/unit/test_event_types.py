"""Event types of the configuration: what is published is what is delivered."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon import sample
from daemon.event_types.catalogue import Catalogue
from daemon.event_types.names import check_name, check_subject
from daemon.event_types.subject import MOST_LEVELS
from daemon.settings import EventTypeSettings

NAME = "payment.completed"
NOW = 1_761_044_400_123
TYPES = Catalogue({NAME: EventTypeSettings(subject="Payment", text=b'{"required":["id"],"examples":[{"id":1.50}]}')})
ANY = Catalogue({NAME: EventTypeSettings(subject="Payment")})

# JSON texts of every shape: numbers and escapes as no encoder of ours would write them, white space, any order.
SPACE = st.sampled_from(["", " ", "\n\t "])
NUMBER = st.from_regex(r"\A-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?\Z")
TEXT = st.text(st.characters(exclude_categories=["Cs"])).flatmap(
    lambda text: st.sampled_from([json.dumps(text), json.dumps(text, ensure_ascii=False), f'"\\u00e9{len(text)}\\/"'])
)


def _joined(parts: list[str], space: str, marks: str) -> str:
    return marks[0] + space + f"{space},{space}".join(parts) + space + marks[1]


def _object(members: dict[str, str], space: str) -> str:
    return _joined([f"{json.dumps(name)}{space}:{space}{value}" for name, value in members.items()], space, "{}")


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUE = st.recursive(
    NUMBER | TEXT | st.sampled_from(["null", "true", "false"]),
    lambda inner: (
        st.builds(_joined, st.lists(inner, max_size=4), SPACE, st.just("[]"))
        | st.builds(_object, st.dictionaries(NAMES, inner, max_size=4), SPACE)
    ),
    max_leaves=12,
)
SUBJECT = st.builds(_object, st.dictionaries(NAMES, VALUE, max_size=5), SPACE)


def event(subject: str | bytes, *, types: Catalogue = ANY, **fields: object) -> tuple[bytes, bytes]:
    """Payload and fingerprint."""
    kind = types.get(NAME)
    assert kind is not None
    raw = published(subject, **fields)
    made = kind.decode(raw)
    examined = kind.examine(made, raw, keyed=True)
    assert examined.faults == []
    assert examined.fingerprint is not None
    return kind.payload(made, NOW), examined.fingerprint


def published(subject: str | bytes, **fields: object) -> bytes:
    text = subject if isinstance(subject, bytes) else subject.encode()
    head = msgspec.json.encode({"event": NAME, **fields}).rstrip(b"}")
    return head + b',"payment":  ' + text + b" }"


def faults(subject: str, types: Catalogue = ANY) -> list[tuple[str, str]]:
    kind = types.get(NAME)
    assert kind is not None
    raw = published(subject)
    found = kind.examine(kind.decode(raw), raw, keyed=True).faults
    return [("".join(f"/{step}" for step in fault.path), fault.detail) for fault in found]


@given(SUBJECT)
def test_every_byte_of_a_subject_is_delivered_as_it_was_published(subject: str) -> None:
    payload, _ = event(subject, timestamp="2025-10-21T13:00:00+02:00")
    head = '{"Event":"payment.completed","Timestamp":"2025-10-21T11:00:00Z","Payment":'
    assert payload.decode() == head + subject + "}"


def test_an_event_without_a_time_gets_that_of_its_publishing() -> None:
    payload, _ = event("{}")
    assert payload == b'{"Event":"payment.completed","Timestamp":"2025-10-21T11:00:00Z","Payment":{}}'


@given(SUBJECT)
def test_white_space_does_not_change_the_fingerprint(subject: str) -> None:
    again = msgspec.json.format(subject.encode(), indent=3)
    assert event(subject)[1] == event(again, idempotencyKey="k", tenant="acme")[1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"n":12345678901234567890123}', '{"n":12345678901234567890124}'),
        ('{"n":9007199254740993}', '{"n":9007199254740992}'),
        ('{"n":0.1}', '{"n":0.1000000000000000055511151231257827}'),
        ('{"n":1e400}', '{"n":1e401}'),
        ('{"n":1}', '{"n":1.0}'),
        ('{"n":1}', '{"n":"1"}'),
        ('{"n":1.5}', '{"n":"1.5"}'),
        ('{"n":null}', "{}"),
        ('{"n":[1,2]}', '{"n":[2,1]}'),
    ],
)
def test_what_is_delivered_differently_has_another_fingerprint(one: str, other: str) -> None:
    assert event(one)[1] != event(other)[1]


def test_the_order_of_names_does_not_change_the_fingerprint() -> None:
    assert event('{"a":1,"b":{"c":2,"d":"é"}}')[1] == event('{"b":{"d":"\\u00e9","c":2},"a":1}')[1]


@pytest.mark.parametrize("subject", ["[]", "null", "1", '"{}"'])
def test_a_subject_is_an_object(subject: str) -> None:
    assert faults(subject) == [("/payment", "must be an object")]


@pytest.mark.parametrize(
    ("subject", "where"),
    [
        ('{"a":1,"a":1}', "/payment/a"),
        ('{"a":1,"\\u0061":2}', "/payment/a"),
        ('{"x":[{},{"b/c":1,"d":2,"b/c":3}]}', "/payment/x/1/b/c"),
        ('{"x":{"a":1,"a":2},"n":' + "9" * 5000 + "}", "/payment/x/a"),
    ],
)
def test_a_name_that_stands_twice_is_refused_and_pointed_at(subject: str, where: str) -> None:
    assert [pointer for pointer, _ in faults(subject)] == [where]


def test_very_many_names_are_not_compared_with_one_another() -> None:
    names = ",".join(f'"k{n}":1' for n in range(60_000))
    assert [pointer for pointer, _ in faults("{" + names + ',"k59999":1}')] == ["/payment/k59999"]


@pytest.mark.parametrize(("opening", "closing"), [('{"a":', "}"), ("[", "]")])
def test_what_is_nested_too_deep_is_refused_and_what_is_not_passes(opening: str, closing: str) -> None:
    def nested(levels: int) -> str:
        return '{"x":' + opening * (levels - 1) + "1" + closing * (levels - 1) + "}"

    assert faults(nested(MOST_LEVELS)) == []
    assert "nested deeper" in faults(nested(MOST_LEVELS + 1))[0][1]
    assert "nested deeper" in faults(nested(900))[0][1]


@pytest.mark.parametrize("number", ["9" * 5000, "1e99999999999999999999", "-" + "1" * 100_000])
def test_a_number_that_no_number_type_holds_is_refused(number: str) -> None:
    assert faults(f'{{"n":{number}}}') == [("/payment", "holds a number with too many digits; send it as a string")]


def test_the_members_beside_the_subject_are_those_of_every_event() -> None:
    kind = TYPES.get(NAME)
    assert kind is not None
    for wrong in (b"{}", b'{"event":"payment.completed","payment":{},"session":{}}', b'{"event":"payment.completed"}'):
        with pytest.raises(msgspec.ValidationError):
            kind.decode(wrong)


def test_a_type_describes_itself_with_examples_that_are_true() -> None:
    described = {one.name: one for one in TYPES.descriptions()}
    assert list(described) == ["onboard.session.completed", NAME, "webhook.ping"]
    own = described[NAME]
    assert bytes(own.schema or b"") == b'{"required":["id"],"examples":[{"id":1.50}]}'
    example = b'{"event":"payment.completed","timestamp":"2025-10-21T11:00:00Z","payment":{"id":1.50}}'
    assert bytes(own.published or b"") == example
    delivered = b'{"Event":"payment.completed","Timestamp":"2025-10-21T11:00:00Z","Payment":{"id":1.50}}'
    assert bytes(own.delivered or b"") == delivered
    built_in = TYPES.get("onboard.session.completed")
    assert built_in is not None
    assert built_in.payload(built_in.decode(sample.PUBLISHED), NOW) == sample.DELIVERED
    schema = json.loads(bytes(built_in.description.schema or b""))
    assert schema["$defs"]["PublishedSession"]["required"] == ["id", "status"]
    assert not described["webhook.ping"].subscribable


def test_of_very_many_types_a_sentence_names_some() -> None:
    many = Catalogue({f"t.{n:02}": EventTypeSettings(subject="T") for n in range(100)})
    assert many.known().endswith("t.08 and 91 more (GET /v1/event-types)")
    assert len(many.known()) < 300


@pytest.mark.parametrize("name", ["a.b", "payment.completed", "v2.payment_x.in-part", "9.9"])
def test_a_name_is_lower_case_words_between_dots(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    "name",
    ["", "payment", "Payment.done", "a..b", ".a", "a.", "a.b\n", "a b.c", "é.a", "a." + "b" * 99, "webhook.created"],
)
def test_any_other_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        check_name(name)


@pytest.mark.parametrize(
    "subject", ["", "payment", "Pay ment", "Payment\n", "É", "P" * 65, "Event", "Timestamp", "Tenant", "Events"]
)
def test_a_subject_s_name_is_pascal_case_and_free(subject: str) -> None:
    check_subject("URLCheck2")
    with pytest.raises(ValueError, match=r"\w"):
        check_subject(subject)


def test_equal_settings_keep_the_catalogue_and_others_make_another() -> None:
    schema = b'{"required":["id"]}'
    made = Catalogue({NAME: EventTypeSettings(subject="Payment", text=schema)})
    assert made.of({NAME: EventTypeSettings(subject="Payment", text=bytes(bytearray(schema)))}) is made
    other = made.of({NAME: EventTypeSettings(subject="Payment", text=b'{"required":["at"]}')})
    assert other is not made
    assert other.description(NAME) != made.description(NAME)
    assert made.of({}).description(NAME) is None
