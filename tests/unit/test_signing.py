"""Signatures, against the public `standardwebhooks` package as the oracle."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook as Oracle
from standardwebhooks import WebhookVerificationError

from daemon.delivery.signing import Signer, format_secret, parse_own_secret, parse_secret

_texts = st.text(st.characters(codec="utf-8"), max_size=400)
# Longer keys than a block of SHA-256 are hashed first (RFC 2104 §2): nobody may register one, but `verify` takes it.
_secrets = st.lists(st.binary(min_size=24, max_size=80), min_size=1, max_size=4)
_ids = st.from_regex(r"evt_[0-9a-f]{32}", fullmatch=True)
_timestamps = st.integers(min_value=0, max_value=4_000_000_000)


@given(secrets=_secrets, id=_ids, timestamp=_timestamps, text=_texts)
def test_each_secret_signs_as_the_standard_library_of_the_specification_does(
    secrets: list[bytes], id: str, timestamp: int, text: str
) -> None:
    body = text.encode()
    expected = [
        Oracle(base64.b64encode(secret).decode()).sign(id, datetime.fromtimestamp(timestamp, UTC), text)
        for secret in secrets
    ]
    assert Signer(secrets).sign(id, timestamp, body).decode().split(" ") == expected


@given(secrets=_secrets, id=_ids, body=st.binary(max_size=400))
def test_a_signer_gives_the_same_signature_for_every_message_it_signed_before(
    secrets: list[bytes], id: str, body: bytes
) -> None:
    signer = Signer(secrets)
    first = signer.sign(id, 1, body)
    signer.sign(id, 2, b"another")
    assert signer.sign(id, 1, body) == first == Signer(secrets).sign(id, 1, body)


@pytest.mark.parametrize("holder", [0, 1])
def test_a_receiver_that_knows_either_secret_verifies_during_a_rotation(holder: int) -> None:
    secrets = [b"n" * 32, b"o" * 32]
    body = '{"Event":"onboard.session.completed","Name":"Zoë 漢字 🦄"}'.encode()
    now = int(datetime.now(UTC).timestamp())
    headers = {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(now),
        "webhook-signature": Signer(secrets).sign("evt_1", now, body).decode(),
    }
    oracle = Oracle(format_secret(secrets[holder]))
    assert oracle.verify(body, headers) == {"Event": "onboard.session.completed", "Name": "Zoë 漢字 🦄"}
    with pytest.raises(WebhookVerificationError):
        oracle.verify(body + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Oracle(format_secret(b"x" * 32)).verify(body, headers)


@given(st.binary(min_size=1, max_size=64))
def test_a_secret_survives_being_shown(raw: bytes) -> None:
    assert format_secret(raw).startswith("whsec_")
    assert parse_secret(format_secret(raw)) == raw


@pytest.mark.parametrize("text", ["", "whsec_", "c2VjcmV0", "whsec_!!!!", "whsec_c2Vj cmV0", "whsec_é", "whsec_c2V"])
def test_what_is_no_secret_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match="whsec_") as refused:
        parse_secret(text)
    assert text in ("", "whsec_") or text not in str(refused.value)


def test_a_signer_does_not_show_its_secrets() -> None:
    assert "verysecret" not in repr(Signer([b"verysecret"]))


@given(st.binary(max_size=100))
def test_a_secret_of_ones_own_has_24_to_64_bytes(raw: bytes) -> None:
    if 24 <= len(raw) <= 64:
        assert parse_own_secret(format_secret(raw)) == raw
    else:
        with pytest.raises(ValueError, match=r"whsec_|bytes"):
            parse_own_secret(format_secret(raw))


def test_a_secret_of_ones_own_whose_last_bits_mean_nothing_is_refused() -> None:
    text = "whsec_" + "A" * 42 + "B="  # as AA=: libraries differ in whether that is base64
    with pytest.raises(ValueError, match="encode them again"):
        parse_own_secret(text)
