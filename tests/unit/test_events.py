from __future__ import annotations

import json
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon import events
from daemon.instants import normalised, parse_instant, rfc3339

PUBLISHED = {
    "event": "onboard.session.completed",
    "timestamp": "2025-10-21T11:00:00Z",
    "session": {
        "id": "12345678-89ab-cdef-0123-456789abcdef",
        "status": "Complete",
        "progress": {
            "identity": {"completed": True, "confirmed": True, "completedAt": "2025-10-21T10:55:00Z"},
            "ais": {"completed": False, "confirmed": None, "completedAt": None},
        },
        "created": "2025-10-21T10:30:00Z",
        "updated": "2025-10-21T10:59:00Z",
    },
}
DOCUMENTED = (
    b'{"Event":"onboard.session.completed","Timestamp":"2025-10-21T11:00:00Z",'
    b'"Session":{"Id":"12345678-89ab-cdef-0123-456789abcdef","Status":"Complete",'
    b'"Progress":{"Identity":{"Completed":true,"Confirmed":true,"CompletedAt":"2025-10-21T10:55:00Z"},'
    b'"Ais":{"Completed":false,"Confirmed":null,"CompletedAt":null}},'
    b'"Created":"2025-10-21T10:30:00Z","Updated":"2025-10-21T10:59:00Z"}}'
)
NOW = 1_761_044_400_123


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


def test_the_sample_session_becomes_the_documented_body_byte_for_byte() -> None:
    assert events.payload(events.decode(encoded(PUBLISHED)), NOW) == DOCUMENTED


def test_what_was_left_out_or_null_is_present_with_its_default() -> None:
    bare = {"event": "onboard.session.completed", "session": {"id": "1", "status": "x", "progress": {"ais": None}}}
    body = json.loads(events.payload(events.decode(encoded(bare)), NOW))
    step = {"Completed": False, "Confirmed": None, "CompletedAt": None}
    assert body == {
        "Event": "onboard.session.completed",
        "Timestamp": "2025-10-21T11:00:00Z",
        "Session": {
            "Id": "1",
            "Status": "x",
            "Progress": {"Identity": step, "Ais": step},
            "Created": None,
            "Updated": None,
        },
    }


@given(st.text(min_size=1, max_size=64))
def test_any_text_survives_from_publish_to_body(status: str) -> None:
    published = {**PUBLISHED, "session": {**PUBLISHED["session"], "status": status}}
    try:
        raw = msgspec.json.encode(published)
    except UnicodeEncodeError:
        return
    assert json.loads(events.payload(events.decode(raw), NOW))["Session"]["Status"] == status


def test_a_ping_names_its_webhook() -> None:
    assert events.ping_payload("w1X2y3Z4", None, NOW) == (
        b'{"Event":"webhook.ping","Timestamp":"2025-10-21T11:00:00Z","Webhook":{"Id":"w1X2y3Z4","Name":null}}'
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"session": {"id": "", "status": "x"}}, r"\$\.session\.id"),
        ({"session": {"id": "x" * 129, "status": "x"}}, r"\$\.session\.id"),
        ({"session": {"id": "x", "status": "x" * 65}}, r"\$\.session\.status"),
        ({"session": {"id": "x", "status": "x", "more": 1}}, "more"),
        ({"session": {"id": "x", "status": "x", "created": "2025-10-21T10:30:00"}}, r"zone.*\$\.session\.created"),
        ({"session": {"id": "x", "status": "x", "created": 5}}, r"Expected `str \| null`.*\$\.session\.created"),
        ({"timestamp": "yesterday"}, r"RFC 3339.*\$\.timestamp"),
        ({"idempotencyKey": "two words"}, r"\$\.idempotencyKey"),
        ({"idempotencyKey": ""}, r"\$\.idempotencyKey"),
        ({"idempotencyKey": "x" * 256}, r"\$\.idempotencyKey"),
    ],
)
def test_what_does_not_fit_the_schema_is_refused_and_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        events.decode(encoded({**PUBLISHED, **change}))


def _with_times(*texts: str) -> bytes:
    happened, created, updated, identified, paid = texts
    steps = {"identity": {"completedAt": identified}, "ais": {"completedAt": paid}}
    session = {"id": "1", "status": "x", "created": created, "updated": updated, "progress": steps}
    return encoded({"event": "onboard.session.completed", "timestamp": happened, "session": session})


_PLACES = (
    "timestamp",
    "session.created",
    "session.updated",
    *(f"session.progress.{s}.completedAt" for s in ("identity", "ais")),
)


@pytest.mark.parametrize("odd", range(5))
def test_a_time_in_any_place_is_sent_in_utc(odd: int) -> None:
    texts = [f"2025-10-2{place}T11:00:00Z" for place in range(5)]
    plain = events.payload(events.decode(_with_times(*texts)), NOW)
    texts[odd] = f"2025-10-2{odd}t13:00:00+02:00"
    assert events.payload(events.decode(_with_times(*texts)), NOW) == plain


@pytest.mark.parametrize(("odd", "place"), list(enumerate(_PLACES)))
def test_a_time_that_is_none_is_refused_and_named_in_any_place(odd: int, place: str) -> None:
    texts = ["2025-10-21T11:00:00Z"] * 5
    texts[odd] = "2025-02-30T11:00:00Z"
    with pytest.raises(msgspec.ValidationError, match=rf"Not a time that exists.* - at `\$\.{re.escape(place)}`$"):
        events.decode(_with_times(*texts))


def test_key_order_white_space_nulls_key_and_tenant_do_not_change_the_fingerprint() -> None:
    same = dict(reversed(PUBLISHED.items())) | {"idempotencyKey": "k", "tenant": "acme"}
    assert events.fingerprint(json.dumps(same, indent=2).encode()) == events.fingerprint(encoded(PUBLISHED))


def test_defaults_are_not_filled_in_for_the_fingerprint() -> None:
    bare: dict[str, object] = {"event": "e", "session": {"id": "1", "status": "x"}}
    filled = {"event": "e", "session": {"id": "1", "status": "x", "progress": {"ais": {"completed": False}}}}
    assert events.fingerprint(encoded(bare)) != events.fingerprint(encoded(filled))


@pytest.mark.parametrize(
    ("given", "printed"),
    [
        ("2025-10-21T11:00:00Z", "2025-10-21T11:00:00Z"),
        ("2025-10-21t11:00:00z", "2025-10-21T11:00:00Z"),
        ("2025-10-21T13:00:00+02:00", "2025-10-21T11:00:00Z"),
        ("2025-10-21T11:00:00.5Z", "2025-10-21T11:00:00.500Z"),
        ("2025-10-21T11:00:00.123987Z", "2025-10-21T11:00:00.123Z"),
        ("2025-10-21T11:00:00.0Z", "2025-10-21T11:00:00.000Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
    ],
)
def test_a_given_time_is_printed_in_utc_with_the_precision_it_had(given: str, printed: str) -> None:
    assert normalised(given) == printed


@pytest.mark.parametrize(
    "given",
    [
        "",
        "2025-10-21",
        "2025-13-21T11:00:00Z",
        "2025-10-21T11:00:60Z",
        "2025-10-21T11:00:00",
        "2025-10-21 11:00:00Z",
        "2025-10-21T11:00:00.Z",
        "\uff12025-10-21T11:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "2025-10-21T11:00:00+02:60",
        "2025-10-21T11:00:00+24:00",
    ],
)
def test_what_is_no_time_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as refused:
        normalised(given)
    assert "timedelta" not in str(refused.value)


@given(st.integers(min_value=-62_135_596_800_000, max_value=253_402_300_799_999))
def test_our_times_read_back_as_what_they_were(at: int) -> None:
    assert parse_instant(rfc3339(at)) == at
    assert parse_instant(rfc3339(at, digits=0)) == at // 1000 * 1000
