"""A careful receiver: genuine deliveries once, nothing else."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from daemon.cli.inbox import Inbox, Receipt
from daemon.cli.listen import readable, verdict
from daemon.cli.receiver import Request

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
BODY = b'{"Event":"onboard.session.completed"}'


def delivery(id: str = "evt_1", *, body: bytes = BODY, at: datetime | None = None, secret: str = SECRET) -> Request:
    sent = at or datetime.now(UTC)
    signature = Webhook(secret).sign(id, sent, body.decode())
    stamp = str(int(sent.timestamp()))
    headers = (("webhook-id", id), ("webhook-timestamp", stamp), ("webhook-signature", signature))
    return Request("POST", "/", headers, body)


def tampered(request: Request) -> Request:
    return Request(request.method, request.target, request.headers, request.body + b" ")


def test_a_genuine_delivery_is_taken() -> None:
    assert Inbox(SECRET).take(delivery()) == Receipt(200, id="evt_1", verified=True)


def test_the_second_with_the_same_id_is_a_duplicate_and_still_answered_200() -> None:
    inbox = Inbox(SECRET)
    inbox.take(delivery())
    assert inbox.take(delivery()) == Receipt(200, id="evt_1", verified=True, duplicate=True)
    assert not inbox.take(delivery("evt_2")).duplicate


@pytest.mark.parametrize(
    "request_",
    [
        tampered(delivery()),
        delivery(secret="whsec_" + base64.b64encode(b"x" * 32).decode()),
        delivery(at=datetime.now(UTC) - timedelta(hours=1)),
        Request("POST", "/", (), BODY),
        Request("POST", "/", (("webhook-id", "a"), ("webhook-timestamp", "1e999"), ("webhook-signature", "v1")), BODY),
        Request("POST", "/", delivery().headers, b"\xff\xfe"),
        Request("POST", "/", (*delivery().headers[:2], ("webhook-signature", "v1,\xe9 rubbish")), BODY),
    ],
    ids=["tampered", "wrong secret", "too old", "unsigned", "rubbish", "not text", "rubbish signature"],
)
def test_what_is_not_genuine_is_refused_with_a_reason(request_: Request) -> None:
    receipt = Inbox(SECRET).take(request_)
    assert (receipt.status, receipt.verified) == (401, False)
    assert receipt.why
    assert verdict(receipt)[0].startswith("REFUSED")


@given(
    st.dictionaries(st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]), st.text()), st.binary()
)
def test_no_request_breaks_the_receiver(headers: dict[str, str], body: bytes) -> None:
    assert Inbox(SECRET).take(Request("POST", "/", tuple(headers.items()), body)).status == 401
    readable(body)


def test_a_forged_id_does_not_make_the_real_delivery_a_duplicate() -> None:
    inbox = Inbox(SECRET)
    inbox.take(tampered(delivery()))
    assert not inbox.take(delivery()).duplicate


def test_its_memory_is_bounded() -> None:
    inbox = Inbox(None)
    for number in range(10_001):
        inbox.take(Request("POST", "/", (("webhook-id", f"evt_{number}"),), BODY))
    assert not inbox.take(Request("POST", "/", (("webhook-id", "evt_0"),), BODY)).duplicate
    assert inbox.take(Request("POST", "/", (("webhook-id", "evt_9999"),), BODY)).duplicate


def test_without_a_secret_nothing_counts_as_verified() -> None:
    receipt = Inbox(None).take(delivery())
    assert (receipt.status, receipt.verified) == (200, None)
    assert "not verified" in verdict(receipt)[0]


def test_only_post_is_a_delivery() -> None:
    assert Inbox(SECRET).take(Request("GET", "/", (), b"")).status == 405


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!!", "c2VjcmV0", "whsec_é", "whsec_a"])
def test_a_secret_that_is_none_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_") as refused:
        Inbox(secret)
    assert not secret or secret == "whsec_" or secret not in str(refused.value)


def test_a_body_shows_indented_and_harmless() -> None:
    assert readable(b'{"a":"\\u001b\xc2\x9b"}') == '  {\n    "a": "\\u001b\\x9b"\n  }'
    assert readable(b"not \x1b json") == "  not \\x1b json"
    assert len(readable(b"[" * 100_000)) < 20_100
