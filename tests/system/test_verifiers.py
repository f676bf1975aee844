"""Deliveries verify with the public packages that receivers use, before, during and after a rotation."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from harness.verifiers import VERIFIERS

from daemon.delivery.signing import Signer, format_secret

if TYPE_CHECKING:
    from pathlib import Path

    from harness.receiver import Received
    from harness.starting import Daemons, Receivers
    from harness.verifiers import Verifier

EVERY = pytest.mark.parametrize("verify", VERIFIERS.values(), ids=VERIFIERS.keys())
# Unicode beyond the basic plane and of every direction, escapes, and keys in no order that a program would make.
SESSIONS = (
    '{"session":{"status":"Zoë 漢字 🦄 \u202eabc\u2028","id":"s-1"},"event":"onboard.session.completed"}',
    '{"event":"onboard.session.completed","session":{"updated":"2025-10-21T10:59:00Z","progress":{"ais":'
    '{"confirmed":true,"completed":true},"identity":{"completedAt":null,"confirmed":false}},"status":"a\\/b\\u00e9\\"",'
    '"id":"9007199254740993","created":null}}',
)
BODIES = (
    b'{"Event":"payment.completed","Payment":{"Minor":9007199254740993,"Rate":1.10,"Tiny":1e-400,"Zero":-0.0}}',
    b'{"z":1,"a":{"10":1,"9":2,"":3},"__proto__":{"x":1},"Event":"payment.completed"}',
    '{"Event":"Zoë","Text":"\\u00e9é e\u0301 漢字 🦄 \\/ \u2028\u200f"}'.encode(),
    b'{"Event":"white space",  "kept" : [ 1 ,2 ] }\r\n',
)


def headers(received: Received) -> dict[str, str]:
    return {name.lower(): value for name, value in received.headers}


def end_overlaps(database: Path) -> None:
    """The moment has come at which those that were replaced end."""
    with closing(sqlite3.connect(database, isolation_level=None, timeout=10)) as db:
        assert db.execute("UPDATE secrets SET expires = created + 1 WHERE expires IS NOT NULL").rowcount == 1


@EVERY
async def test_a_delivery_verifies_with_each_secret_for_as_long_as_it_signs(
    verify: Verifier, daemons: Daemons, receivers: Receivers
) -> None:
    daemon = await daemons.start()
    receiver = await receivers.start()
    acme = await daemon.tenant()
    old = "whsec_" + base64.b64encode(os.urandom(64)).decode()
    webhook = await acme.register(receiver.url, secret=old, name="Zoë 🦄")
    assert webhook["secret"] == old
    path = f"/v1/webhooks/{webhook['id']}"

    async def deliver() -> list[Received]:
        before = len(receiver.requests)
        for session in SESSIONS:
            posted = await acme.client.post(
                "/v1/events", content=session.encode(), headers={"content-type": "application/json"}
            )
            assert posted.status_code == 202, posted.text
        await acme.ask("POST", f"{path}/ping")
        return (await receiver.arrived(before + 3))[before:]

    def verified(secret: str, deliveries: list[Received]) -> set[bool]:
        return {verify(secret, headers(received), received.body) for received in deliveries}

    first = await deliver()
    assert verified(old, first) == {True}
    assert verify(old, headers(first[0]), first[0].body + b"\n") is False

    new = (await acme.ask("POST", f"{path}/secret/rotate"))["secret"]
    both = await deliver()
    assert (verified(new, both), verified(old, both)) == ({True}, {True})
    assert verified(new, first) == {False}

    end_overlaps(daemons.database())
    after = await deliver()
    assert (verified(new, after), verified(old, after)) == ({True}, {False})

    newest = (await acme.ask("POST", f"{path}/secret/rotate", {"overlapHours": 0}))["secret"]
    at_once = await deliver()
    assert (verified(newest, at_once), verified(new, at_once)) == ({True}, {False})


@EVERY
@pytest.mark.parametrize("body", BODIES, ids=["numbers", "key order", "unicode", "white space"])
def test_what_we_sign_verifies_whatever_the_bytes_of_the_body(verify: Verifier, body: bytes) -> None:
    json.loads(body)
    now = int(time.time())
    secrets = [os.urandom(24), os.urandom(32), os.urandom(64)]
    signed = {
        "webhook-id": "evt_0190",
        "webhook-timestamp": str(now),
        "webhook-signature": Signer(secrets).sign("evt_0190", now, body).decode(),
    }
    for secret in secrets:
        assert verify(format_secret(secret), signed, body)
    assert not verify(format_secret(os.urandom(32)), signed, body)
    assert not verify(format_secret(secrets[0]), signed, body.replace(b"E", b"e", 1))
