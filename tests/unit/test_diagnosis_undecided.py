"""What `verify` says where no signature fits: no more than can be known, and how to find out the rest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from msgspec import structs
from signed_delivery import AT, BODY, ID, KEY, OLD, OTHER, SECRET, detail, say, sent, suspects, verdicts

from daemon import events
from daemon.delivery.signing import format_secret
from daemon.event_types.kinds import ConfiguredType

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.cli.diagnosis import Received

_OWN = ConfiguredType("payment.completed", "Payment", "", None, b"{}", None)


def own(subject: str) -> bytes:
    """A body of a configured type: its subject is as it was published."""
    published = f'{{"event":"payment.completed","payment":{subject}}}'
    return _OWN.payload(_OWN.decode(published.encode()), AT * 1000)


SESSION = events.payload(
    events.decode(b'{"event":"onboard.session.completed","session":{"id":"4711","status":"Complete"}}'), AT * 1000
)
UNTOUCHED = {
    "built in": SESSION,
    "ping": events.ping_payload("w1X2y3Z4", "Zoë  Z", AT * 1000),
    "one's own": BODY,
    "one's own, with white space": own('{ "Minor" : 4711,\n  "Lines": [ 1, 2 ]\n}'),
}
ANOTHER_VALUE = bytes.maketrans(b"7Z", b"8Y")
ANOTHER_ID = "evt_019a062d9b80ffffffffffffffffffff"
UNDECIDED: dict[str, Callable[[Received], tuple[Received, str]]] = {
    "another secret": lambda sent: (sent, format_secret(OTHER)),
    "another id": lambda sent: (structs.replace(sent, id=ANOTHER_ID), SECRET),
    "another value": lambda sent: (structs.replace(sent, body=sent.body.translate(ANOTHER_VALUE)), SECRET),
}


@pytest.mark.parametrize("body", UNTOUCHED)
@pytest.mark.parametrize("change", UNDECIDED)
def test_which_of_secret_body_and_id_is_wrong_is_left_open_and_how_to_find_out_is_said(change: str, body: str) -> None:
    original = sent(UNTOUCHED[body])
    delivery, secret = UNDECIDED[change](original)
    assert (delivery, secret) != (original, SECRET)
    diagnosis = say(delivery, secret)
    assert not diagnosis.verified
    assert verdicts(diagnosis) == {"id": "suspect", "timestamp": "unknown", "signature": "unknown",
                                   "secret": "suspect", "body": "suspect"}  # fmt: skip
    assert "in range" in detail(diagnosis, "timestamp")
    assert "Well formed" in detail(diagnosis, "signature")
    first, second, third = (detail(diagnosis, part) for part in ("secret", "body", "id"))
    assert first.startswith("Look here first")
    assert "secret, body or id" in first
    assert "`tenant-webhooks webhooks secret ID`" in first
    assert second.startswith("Look here second")
    assert f"{len(delivery.body):,} bytes, as content-length said" in second
    assert f"`tenant-webhooks events get {delivery.id} --json`" in second
    assert third.startswith("Look here third")
    assert "white space, which" not in second
    assert "most likely" not in str(diagnosis)


def test_without_a_content_length_it_is_said_that_it_is_to_be_compared() -> None:
    diagnosis = say(structs.replace(sent(), length=None), format_secret(OTHER))
    assert "compare that with the header content-length" in detail(diagnosis, "body")


def test_a_timestamp_out_of_range_remains_too() -> None:
    assert "secret, body, id or timestamp" in detail(say(sent(), format_secret(OTHER), at=AT + 9999), "secret")


@pytest.mark.parametrize("secret", [SECRET, format_secret(OTHER)])
def test_two_signatures_are_said_to_be_a_rotation(secret: str) -> None:
    said = detail(say(sent(BODY, KEY, OLD), secret), "signature")
    assert "the header has two signatures: the secret is being rotated" in said
    assert "rotated" not in detail(say(sent(BODY, KEY), secret), "signature")


def test_with_a_damaged_signature_white_space_of_the_publisher_is_no_hint() -> None:
    diagnosis = say(structs.replace(sent(UNTOUCHED["one's own, with white space"]), signature="v1,abc"))
    assert suspects(diagnosis) == {"signature"}


@pytest.mark.parametrize("body", [SESSION.replace(b":", b": "), SESSION.replace(b'"Status":', b'"Status": ')])
def test_white_space_in_a_built_in_event_is_a_hint_which_is_not_all_as_without_it_nothing_fits(body: bytes) -> None:
    diagnosis = say(structs.replace(sent(SESSION), body=body, length=None), format_secret(OTHER))
    assert "has white space, which this daemon does not send" in detail(diagnosis, "body")
    assert "Without it no signature fits either" in detail(diagnosis, "body")
    assert suspects(diagnosis) == {"secret", "body", "id"}


def test_white_space_around_the_subject_is_a_hint_in_an_event_of_one_s_own_too() -> None:
    body = own('{ "Minor" : 4711 }')
    changed = json.dumps(json.loads(body)).encode()
    diagnosis = say(structs.replace(sent(body), body=changed, length=None))
    assert "has white space, which this daemon does not send" in detail(diagnosis, "body")
    assert suspects(diagnosis) == {"body"}


def test_a_line_break_at_the_end_does_not_hide_that_the_secret_may_be_another() -> None:
    diagnosis = say(structs.replace(sent(), body=BODY + b"\n", length=None), format_secret(OTHER))
    assert suspects(diagnosis) == {"secret", "body", "id"}
    assert "around it" in detail(diagnosis, "body")


def test_an_id_in_quotes_does_not_hide_that_the_secret_may_be_another() -> None:
    diagnosis = say(structs.replace(sent(), id=f'"{ID}"'), format_secret(OTHER))
    assert suspects(diagnosis) == {"secret", "body", "id"}
    assert "quotes or white space were added" in detail(diagnosis, "id")
    assert f"events get {ID} --json" in detail(diagnosis, "body")
