"""What `verify` says of a delivery: the part that was changed is named, and no other."""

from __future__ import annotations

import base64
import json
import time
import unicodedata
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec import structs
from signed_delivery import AT, BODY, ID, KEY, OLD, OTHER, SECRET, detail, say, sent, suspects, verdicts
from standardwebhooks import Webhook, WebhookVerificationError

from daemon.cli.diagnosis import Received, duration
from daemon.cli.pasted import headers, received, split_request
from daemon.delivery.signing import format_secret


@given(st.binary(max_size=300), st.integers(-300, 300))
def test_what_arrives_as_it_was_sent_is_verified(body: bytes, late: int) -> None:
    diagnosis = say(sent(body), at=AT + late)
    assert diagnosis.verified
    assert verdicts(diagnosis) == {}


@pytest.mark.parametrize("part", ["id", "timestamp", "signature"])
def test_a_header_that_is_missing_is_named(part: str) -> None:
    diagnosis = say(structs.replace(sent(), **{part: None}))
    assert not diagnosis.verified
    assert verdicts(diagnosis)[part] == "wrong"
    assert "missing" in detail(diagnosis, part)
    assert not {"secret", "body"} & {p for p, verdict in verdicts(diagnosis).items() if verdict != "unknown"}


CHANGED_BODIES: dict[str, tuple[bytes, str]] = {
    "line break at the end": (BODY + b"\n", "line break was added"),
    "line break of Windows": (BODY + b"\r\n", "line break was added"),
    "white space around": (b"  " + BODY + b"\t", "white space was added"),
    "byte order mark": (b"\xef\xbb\xbf" + BODY, "byte order mark"),
    "pretty printed": (
        BODY.replace(b",", b",\n  ").replace(b":{", b": {").replace(b"{", b"{\n "), "other white space"),
    "pretty and a line break": (BODY.replace(b":{", b": {") + b"\n", "other white space"),
    "escaped as Python does": (BODY.decode().encode("ascii", "backslashreplace").replace(
        b"\\U0001f984", b"\\ud83e\\udd84").replace(b"\\xeb", b"\\u00eb"), "escaped as"),
    "slashes as PHP does": (BODY.replace(b"/", b"\\/"), "“/” escaped"),
    "read as Latin-1": (BODY.decode("latin-1").encode(), "another encoding"),
    "base64": (base64.b64encode(BODY), "base64"),
    "a JSON string": (json.dumps(BODY.decode()).encode(), "JSON string"),
    "letters taken apart": (unicodedata.normalize("NFD", BODY.decode()).encode(), "Unicode normalisation"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGED_BODIES)
def test_what_was_done_to_the_body_is_found(change: str) -> None:
    body, words = CHANGED_BODIES[change]
    assert body != BODY
    diagnosis = say(structs.replace(sent(), body=body, length=None))
    assert not diagnosis.verified
    assert verdicts(diagnosis) == {"body": "wrong"}
    assert words in detail(diagnosis, "body")


def test_a_body_of_windows_line_breaks_is_told_from_one_of_unix() -> None:
    for sent_body, came in ((b"a\nb\n", b"a\r\nb\r\n"), (b"a\r\nb", b"a\nb")):
        diagnosis = say(structs.replace(sent(sent_body), body=came))
        assert verdicts(diagnosis) == {"body": "wrong"}
        assert "line breaks were changed" in detail(diagnosis, "body")


@pytest.mark.parametrize(
    ("timestamp", "words"),
    [(f"{AT}000", "milliseconds"), ("2025-10-21T11:00:00Z", "date"), (f' "{AT}"', "quotes")],
)
def test_a_timestamp_that_was_rewritten_is_found(timestamp: str, words: str) -> None:
    diagnosis = say(structs.replace(sent(), timestamp=timestamp))
    assert verdicts(diagnosis) == {"timestamp": "wrong"}
    assert words in detail(diagnosis, "timestamp")


@pytest.mark.parametrize(("id", "words"), [(f"'{ID}' ", "quotes"), (ID.upper(), "capital"), (ID[4:], "evt_")])
def test_an_id_that_was_rewritten_is_found(id: str, words: str) -> None:
    diagnosis = say(structs.replace(sent(), id=id))
    assert verdicts(diagnosis) == {"id": "wrong"}
    assert words in detail(diagnosis, "id")


@pytest.mark.parametrize("id", ["dlv_019a062d9b80a84e4cf0f13b6d02c95e", "w1X2y3Z4", "evt_1", "msg_1", ID[:-1], ""])
def test_an_id_that_no_event_has_is_suspected_and_nothing_else(id: str) -> None:
    diagnosis = say(structs.replace(sent(), id=id))
    assert suspects(diagnosis) == {"id"}
    assert "evt_ and 32" in detail(diagnosis, "id")


@pytest.mark.parametrize(
    ("at", "skew", "words"),
    [(AT + 7385, 7385, "2 h 3 min before it was received"), (AT - 301, -301, "5 min 1 s after it was received")],
)
def test_a_clock_that_is_wrong_is_told_from_a_signature_that_is_and_by_how_much(at: int, skew: int, words: str) -> None:
    diagnosis = say(sent(), at=at)
    assert not diagnosis.verified
    assert diagnosis.skew_seconds == skew
    assert verdicts(diagnosis) == {"timestamp": "wrong"}
    assert words in detail(diagnosis, "timestamp")
    both = say(sent(), format_secret(OTHER), at=at)
    assert (verdicts(both)["timestamp"], verdicts(both)["secret"]) == ("wrong", "suspect")


@pytest.mark.parametrize(
    "text",
    [SECRET[6:], SECRET.rstrip("="), f' "{SECRET}"', f"WEBHOOK_SECRET={SECRET}", f"export S='{SECRET[6:]}'"],
)
def test_a_secret_that_is_written_otherwise_is_told_from_a_wrong_one(text: str) -> None:
    diagnosis = say(sent(), text)
    assert verdicts(diagnosis) == {"secret": "wrong"}
    assert "written otherwise" in detail(diagnosis, "secret")


@pytest.mark.parametrize("text", ["whsec_!!", "hunter2 is not base64", "whsec_", "tw_abc-def"])
def test_what_is_no_secret_is_said_to_be_none_and_is_not_repeated(text: str) -> None:
    diagnosis = say(sent(), text)
    assert verdicts(diagnosis)["secret"] == "wrong"
    assert verdicts(diagnosis)["body"] == "unknown"
    assert "hunter2" not in str(diagnosis)


@pytest.mark.parametrize(
    "body",
    [
        b'{"Timestamp":"2025-10-21T11:00:00Z","Event":"payment.completed"}',
        BODY.replace(b'":', b'" : ').replace(b"10", b"1"),
        BODY[:-9],
        BODY[:-1] + b',"Extra":{}}',
    ],
    ids=["keys in another order", "with white space", "cut", "a member more"],
)
def test_a_body_that_this_daemon_would_not_have_written_is_suspected_before_the_secret(body: bytes) -> None:
    diagnosis = say(structs.replace(sent(), body=body, length=None))
    assert verdicts(diagnosis)["body"] == "suspect"
    assert verdicts(diagnosis)["secret"] == "unknown"


def test_a_body_of_another_length_than_was_sent_was_changed_for_certain() -> None:
    diagnosis = say(structs.replace(sent(), body=BODY[:-9]))
    assert verdicts(diagnosis)["body"] == "wrong"
    assert verdicts(diagnosis)["secret"] == "unknown"
    assert str(len(BODY)) in detail(diagnosis, "body")


@pytest.mark.parametrize(
    ("signature", "words"),
    [("", "none of version 1"), ("v1a,xyz", "none of version 1"), ("v1,abc", "cut"), ("v1,%%%", "cut")],
)
def test_a_signature_that_is_none_is_named(signature: str, words: str) -> None:
    diagnosis = say(structs.replace(sent(), signature=signature))
    assert verdicts(diagnosis)["signature"] == "wrong"
    assert words in detail(diagnosis, "signature")


def test_the_old_secret_verifies_during_the_overlap_and_is_said_to_be_old() -> None:
    diagnosis = say(sent(BODY, KEY, OLD), format_secret(OLD))
    assert diagnosis.verified
    assert verdicts(diagnosis) == {"secret": "old"}
    assert "being replaced" in detail(diagnosis, "secret")


def test_of_several_secrets_the_one_that_signed_is_named() -> None:
    diagnosis = say(sent(BODY, OLD), SECRET, format_secret(OLD))
    assert diagnosis.verified
    assert "Number 2 of 2" in detail(diagnosis, "secret")


_text = st.text(st.characters(codec="utf-8"), max_size=20)


@given(
    id=st.one_of(st.none(), _text), timestamp=st.one_of(st.none(), _text, st.just(str(AT))),
    signature=st.one_of(st.none(), _text, st.from_regex(r"v1,[A-Za-z0-9+/]{43}=", fullmatch=True)),
    body=st.one_of(st.binary(max_size=50), st.just(b'"\\ud800"'), st.just(b"[" * 5000)),
    secret=st.one_of(_text, st.just(SECRET)),
)  # fmt: skip
def test_nothing_that_is_pasted_is_verified_or_breaks_it(secret: str, **parts: Any) -> None:
    diagnosis = say(Received(**parts), secret)
    assert not diagnosis.verified
    assert any(finding.verdict in ("wrong", "suspect") for finding in diagnosis.findings)


@given(st.sampled_from([BODY, b"{}"]), st.sampled_from([KEY, OTHER]), st.integers(-400, 400), st.booleans())
def test_it_verifies_exactly_what_the_public_library_does(body: bytes, key: bytes, late: int, spoilt: bool) -> None:
    now = int(time.time())
    assume(abs(abs(late) - 300) > 2)  # its clock goes on meanwhile
    delivery = sent(body, key, timestamp=now - late)
    if spoilt:
        delivery = structs.replace(delivery, body=body + b" ")
    fields = {
        "webhook-id": delivery.id or "",
        "webhook-timestamp": delivery.timestamp or "",
        "webhook-signature": delivery.signature or "",
    }
    try:
        Webhook(SECRET).verify(delivery.body, fields, json_parse=False)
    except WebhookVerificationError:
        theirs = False
    else:
        theirs = True
    assert say(delivery, at=now).verified is theirs


@pytest.mark.parametrize(
    "text",
    [
        "POST /hook HTTP/1.1\r\nHost: a\r\nWebhook-Id: evt_1\r\nWebhook-Timestamp: 7\r\n"
        "Webhook-Signature: v1,x v1,y\r\nContent-Length: 2",
        "> webhook-id: evt_1\n> webhook-timestamp:7\n> webhook-signature: v1,x v1,y\n> content-length: 2",
        '{"webhook-id":"evt_1","Webhook-Timestamp":7,"webhook-signature":"v1,x v1,y","content-length":"2"}',
        "svix-id: evt_1\nsvix-timestamp: 7\nsvix-signature: v1,x v1,y\ncontent-length: 2",
        "  'noise'\n  \"webhook-id\": evt_1\n  webhook-timestamp: 7\n"
        "  webhook-signature: v1,x v1,y\ncontent-length: 2\n",
    ],
    ids=["request", "curl", "JSON", "Svix", "log"],
)
def test_headers_are_taken_as_people_paste_them(text: str) -> None:
    assert received(headers(text), b"{}") == Received("evt_1", "7", "v1,x v1,y", b"{}", 2)


@given(st.binary(max_size=50))
def test_the_body_behind_a_blank_line_stays_the_bytes_it_was(body: bytes) -> None:
    for blank in (b"\n\n", b"\r\n\r\n"):
        assert split_request(b"POST / HTTP/1.1" + blank[: len(blank) // 2] + b"a: b" + blank + body) == (
            b"POST / HTTP/1.1" + blank[: len(blank) // 2] + b"a: b", body,
        )  # fmt: skip
    assert split_request(b"a: b\nc: d\n") == (b"a: b\nc: d\n", None)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (59.9, "59 s"), (300, "5 min"), (3661, "1 h 1 min"), (90_000, "1 d 1 h")]
)
def test_durations_have_two_units(seconds: float, words: str) -> None:
    assert duration(seconds) == words
