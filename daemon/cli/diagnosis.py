"""Why a delivery does not verify: which part of it is not what its sender signed (Standard Webhooks 1.0.0). Pure.

Only the whole is signed, so a part is known to be wrong when putting it right makes a signature fit. Where nothing
does, a part that this daemon cannot have sent is named; where none is, which one is wrong cannot be told, and the order
in which to look is said.
"""

from __future__ import annotations

from binascii import Error as NotBase64
from binascii import a2b_base64
from itertools import product
from typing import TYPE_CHECKING, Literal, NamedTuple

from msgspec import Struct

from daemon.cli.alterations import Body, Id, Key, Timestamp, bodies, ids, keys, timestamps
from daemon.cli.likeness import event_id, odd_body, odd_id
from daemon.delivery.signing import Signer, parse_secret

if TYPE_CHECKING:
    from collections.abc import Sequence

Part = Literal["id", "timestamp", "signature", "secret", "body"]
Verdict = Literal["right", "old", "wrong", "suspect", "unknown"]

_PARTS: tuple[Part, ...] = ("id", "timestamp", "signature", "secret", "body")
_SIGNATURE_BYTES = 32
_NO_TELLING = "cannot be told, no signature fits"
_FORM = "It has the form of an event's id."
_NUMBERS = {2: "two", 3: "three"}


class Received(Struct, frozen=True):
    """What a receiver has of a delivery; None for a header that is missing. `length` is what `content-length` said."""

    id: str | None
    timestamp: str | None
    signature: str | None
    body: bytes
    length: int | None = None


class Finding(Struct, frozen=True):
    """`right`; `old`: a secret that signed but not as the newest; `wrong`; `suspect`: look there; `unknown`."""

    part: Part
    verdict: Verdict
    detail: str


class Diagnosis(Struct, frozen=True, rename="camel"):
    """`skew_seconds`: by how much the moment of receipt is after (less than 0: before) the timestamp, if it has one."""

    verified: bool
    skew_seconds: float | None
    findings: list[Finding]


class _Found(NamedTuple):
    """The parts that a signature fits, as they were sent. `secret` and `signature` are places in what was given."""

    id: Id
    timestamp: Timestamp
    key: Key
    body: Body
    secret: int
    signature: int


def diagnose(received: Received, secrets: Sequence[str], at: float, tolerance: float) -> Diagnosis:
    """`secrets` as their owner has them, the one to be used first. `at`: when it was received, in Unix seconds;
    `tolerance`: how many seconds before or after that it may have been signed."""
    signatures = _signatures(received.signature)
    found = _search(received, secrets, [raw for raw in signatures if raw is not None])
    moment = found.timestamp if found else next(timestamps(received.timestamp or ""), None)
    skew = None if moment is None else at - moment.seconds
    said: dict[Part, Finding] = {
        "id": _of_id(received.id, found),
        "timestamp": _of_timestamp(received.timestamp, found, skew, tolerance),
        "signature": _of_signature(received.signature, signatures, found),
        "secret": _of_secret(secrets, found),
        "body": _of_body(received, found),
    }
    if found is None and skew is not None and not _explained(received, said):
        said |= _undecided(received, said, len(secrets))
    findings = [said[part] for part in _PARTS]
    verified = found is not None and all(finding.verdict in ("right", "old") for finding in findings)
    return Diagnosis(verified, skew, findings)


def _search(received: Received, secrets: Sequence[str], signatures: Sequence[bytes]) -> _Found | None:
    """What is wrong in several ways is found too: a signature does not fit by chance."""
    if received.id is None or received.timestamp is None or not signatures:
        return None
    owned = [(place, key) for place, text in enumerate(secrets) for key in keys(text)]
    signed = list(product(ids(received.id), timestamps(received.timestamp), owned))
    if not signed:
        return None
    for body in bodies(received.body):
        for id, moment, (place, key) in signed:
            signature = _fit(key.raw, id.text, moment.seconds, body.content, signatures)
            if signature is not None:
                return _Found(id, moment, key, body, place, signature)
    return None


def _fit(key: bytes, id: str, seconds: int, body: bytes, signatures: Sequence[bytes]) -> int | None:
    """The place of the signature that these parts make. This is a look at one's own papers, not a gate: no constant
    time is needed."""
    expected = a2b_base64(Signer([key]).sign(id, seconds, body).removeprefix(b"v1,"))
    return signatures.index(expected) if expected in signatures else None


def _signatures(header: str | None) -> list[bytes | None]:
    """Those of version 1, in their order; None for one that was damaged."""
    entries = (header or "").strip().strip("\"'").split()
    return [_signature(entry.removeprefix("v1,")) for entry in entries if entry.startswith("v1,")]


def _signature(encoded: str) -> bytes | None:
    try:
        raw = a2b_base64(encoded.encode("ascii"), strict_mode=True)
    except (NotBase64, UnicodeEncodeError):
        return None
    return raw if len(raw) == _SIGNATURE_BYTES else None


def _of_id(text: str | None, found: _Found | None) -> Finding:
    if text is None:
        return Finding("id", "wrong", "The header webhook-id is missing.")
    if found is not None:
        if found.id.change is None:
            return Finding("id", "right", f"{found.id.text} was signed.")
        return Finding("id", "wrong", f"Changed: {found.id.change}. Signed was {found.id.text}.")
    if odd := odd_id(text):
        return Finding("id", "suspect", odd.detail)
    return Finding("id", "unknown", f"{_FORM} Whether it is the one that was signed {_NO_TELLING}.")


def _of_timestamp(text: str | None, found: _Found | None, skew: float | None, tolerance: float) -> Finding:
    if text is None:
        return Finding("timestamp", "wrong", "The header webhook-timestamp is missing.")
    if skew is None:
        return Finding("timestamp", "wrong", "This is no time: webhook-timestamp is Unix seconds, such as 1761044400.")
    if found is not None and found.timestamp.change is not None:
        signed = found.timestamp.seconds
        return Finding("timestamp", "wrong", f"Changed: {found.timestamp.change}. Signed was {signed}.")
    when = f"{duration(abs(skew))} {'before' if skew >= 0 else 'after'} it was received"
    if skew > tolerance:
        why = "an old delivery, or a replay (say with --received when it came), or a clock is wrong"
        return Finding("timestamp", "wrong", f"{when}, {duration(tolerance)} are allowed: {why}.")
    if skew < -tolerance:
        why = "the clock here is behind, or the sender's is ahead"
        return Finding("timestamp", "wrong", f"{when}, {duration(tolerance)} are allowed: {why}.")
    if found is None:
        return Finding("timestamp", "unknown", f"{when}, which is in range; whether it was changed {_NO_TELLING}.")
    return Finding("timestamp", "right", f"{when}.")


def _of_signature(text: str | None, signatures: Sequence[bytes | None], found: _Found | None) -> Finding:
    if text is None:
        return Finding("signature", "wrong", "The header webhook-signature is missing.")
    if not signatures:
        return Finding("signature", "wrong", "It holds none of version 1: v1, and base64, several apart by spaces.")
    several = f"the header has {_NUMBERS.get(len(signatures), len(signatures))} signatures"
    rotated = f"; {several}: the secret is being rotated, each that is in force signs" if len(signatures) > 1 else ""
    if found is not None:
        return Finding("signature", "right", f"Number {found.signature + 1} of {len(signatures)} fits{rotated}.")
    if damaged := signatures.count(None):
        which = f"{damaged} of {len(signatures)} was cut or changed"
        return Finding("signature", "wrong", f"{which}: each is v1, and the base64 of {_SIGNATURE_BYTES} bytes.")
    return Finding("signature", "unknown", f"Well formed, but fits nothing that was tried{rotated}.")


def _of_secret(secrets: Sequence[str], found: _Found | None) -> Finding:
    if found is not None:
        which = _which(found.secret, secrets)
        if found.key.change is not None:
            return Finding("secret", "wrong", f"{which} signed, but {found.key.change}.")
        if found.signature > 0:
            hint = "it is being replaced, a newer one signs first: change over to that before this one ends."
            return Finding("secret", "old", f"{which} signed, but {hint}")
        if found.secret > 0:
            return Finding("secret", "old", f"{which} signed, and those before it did not.")
        return Finding("secret", "right", f"{which} signed.")
    for place, text in enumerate(secrets):
        if not _well_formed(text):
            which = _which(place, secrets)
            if text.strip().startswith("tw_"):
                return Finding("secret", "wrong", f"{which} is an API token. A webhook's secret begins with whsec_.")
            what = "that is whsec_ and base64. Was it copied whole, and nothing else?"
            return Finding("secret", "wrong", f"{which} is no secret: {what}")
    return Finding("secret", "unknown", f"Well formed; whether it is the right one {_NO_TELLING}.")


def _well_formed(secret: str) -> bool:
    try:
        return bool(parse_secret(secret))
    except ValueError:
        return False


def _which(place: int, secrets: Sequence[str]) -> str:
    return f"Number {place + 1} of {len(secrets)}" if len(secrets) > 1 else "It"


def _of_body(received: Received, found: _Found | None) -> Finding:
    size = f"{len(received.body):,} bytes"
    if found is not None:
        if found.body.change is None:
            return Finding("body", "right", f"{size} as they were signed.")
        return Finding(
            "body",
            "wrong",
            f"Changed: {found.body.change}. Verify the bytes as they came, before anything reads them.",
        )
    if received.length is not None and received.length != len(received.body):
        return Finding("body", "wrong", f"It has {size}, {received.length:,} were sent (content-length).")
    if not received.body:
        return Finding("body", "wrong", "It is empty.")
    if odd := odd_body(received.body):
        return Finding("body", "suspect", odd.detail)
    return Finding("body", "unknown", "It looks as this daemon writes them, but no signature fits.")


def _explained(received: Received, said: dict[Part, Finding]) -> bool:
    """Whether what is known to be wrong may be all that is. The time alone does not spoil a signature."""
    if any(finding.verdict == "wrong" for part, finding in said.items() if part != "timestamp"):
        return True
    oddities = (odd_id(received.id or ""), odd_body(received.body))
    return any(odd.enough for odd in oddities if odd is not None)


def _undecided(received: Received, said: dict[Part, Finding], secrets: int) -> dict[Part, Finding]:
    """The parts that remain, with the order in which to look and how to find out."""
    remain = "secret, body, id or timestamp" if said["timestamp"].verdict == "wrong" else "secret, body or id"
    given = "this secret" if secrets == 1 else f"these {secrets} secrets"
    secret = (
        f"Look here first. No signature fits {given}, and which of {remain} is not the one that was signed cannot be "
        "told. `tenant-webhooks webhooks secret ID` shows the webhook's secret: that of another webhook does not fit, "
        "nor one that was replaced and has ended."
    )
    length = (
        ": compare that with the header content-length"
        if received.length is None
        else ", as content-length said: none was added or lost"
    )
    show = f"`tenant-webhooks events get {event_id(received.id or '')} --json`"
    odd = "" if said["body"].verdict == "unknown" else f" {said['body'].detail}"
    body = (
        f"Look here second.{odd} It has {len(received.body):,} bytes{length}. {show} shows the payload as "
        "sent: one character that differs is enough."
    )
    id = (
        f"Look here third. {said['id'].detail if said['id'].verdict == 'suspect' else _FORM} If it is not the one that "
        "was signed, `events get` shows another payload or finds no event (nor does it once retention removed it)."
    )
    return {
        "secret": Finding("secret", "suspect", secret),
        "body": Finding("body", "suspect", body),
        "id": Finding("id", "suspect", id),
    }


def duration(seconds: float) -> str:
    """In at most two units, cut: `2 h 3 min`."""
    left = int(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"
