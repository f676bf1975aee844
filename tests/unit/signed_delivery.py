"""A delivery as its receiver has it, and what `verify` says of it."""

from __future__ import annotations

from daemon.cli.diagnosis import Diagnosis, Received, diagnose
from daemon.delivery.signing import Signer, format_secret

AT = 1_761_044_400
ID = "evt_019a062d9b80a84e4cf0f13b6d02c95e"
KEY, OLD, OTHER = b"k" * 32, b"o" * 24, b"x" * 64
SECRET = format_secret(KEY)
BODY = (
    '{"Event":"payment.completed","Timestamp":"2025-10-21T11:00:00Z","Payment":{"Payee":"Zoë 漢字 🦄",'
    '"Minor":9007199254740993,"Rate":1.10,"Path":"a/b","Note":"say \\"hi  there\\""}}'
).encode()


def sent(body: bytes = BODY, *keys: bytes, timestamp: int = AT) -> Received:
    signature = Signer(keys or (KEY,)).sign(ID, timestamp, body).decode()
    return Received(ID, str(timestamp), signature, body, len(body))


def verdicts(diagnosis: Diagnosis) -> dict[str, str]:
    return {finding.part: finding.verdict for finding in diagnosis.findings if finding.verdict != "right"}


def suspects(diagnosis: Diagnosis) -> set[str]:
    return {finding.part for finding in diagnosis.findings if finding.verdict in ("wrong", "suspect")}


def detail(diagnosis: Diagnosis, part: str) -> str:
    return next(finding.detail for finding in diagnosis.findings if finding.part == part)


def say(delivery: Received, *secrets: str, at: float = AT + 2) -> Diagnosis:
    return diagnose(delivery, secrets or (SECRET,), at, 300)
