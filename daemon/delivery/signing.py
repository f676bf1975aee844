"""Signatures of the Standard Webhooks specification 1.0.0: `v1,<base64 HMAC-SHA256 of "id.timestamp.body">`."""

from __future__ import annotations

from binascii import Error as NotBase64
from binascii import a2b_base64, b2a_base64
from hashlib import sha256
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

SHORTEST_KEY: Final = 24
LONGEST_KEY: Final = 64
"""In bytes: what the specification recommends for keys that others make."""

_PREFIX = "whsec_"
_BLOCK: Final = 64
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))


class Signer:
    """A webhook's secrets, the newest first. HMAC-SHA256 by its definition (RFC 2104 §2), with the two states that a
    key begins with kept (§4): copying an `hmac` object, one for each signature, would cost more than twice as much."""

    __slots__ = ("_keyed",)

    def __init__(self, secrets: Sequence[bytes]) -> None:
        keys = [_block(secret) for secret in secrets]
        self._keyed = [(sha256(key.translate(_INNER)), sha256(key.translate(_OUTER))) for key in keys]

    def sign(self, id: str, timestamp: int, body: bytes) -> bytes:
        """The value of `webhook-signature`: one signature for each secret, separated by spaces.

        `timestamp` is in seconds since the Unix epoch."""
        message = b"%b.%d.%b" % (id.encode(), timestamp, body)
        signatures: list[bytes] = []
        for begun_inner, begun_outer in self._keyed:
            inner, outer = begun_inner.copy(), begun_outer.copy()
            inner.update(message)
            outer.update(inner.digest())
            signatures.append(b"v1," + b2a_base64(outer.digest(), newline=False))
        return b" ".join(signatures)


def _block(secret: bytes) -> bytes:
    return (secret if len(secret) <= _BLOCK else sha256(secret).digest()).ljust(_BLOCK, b"\0")


def format_secret(raw: bytes) -> str:
    """A key as people see it: `whsec_<base64>`."""
    return _PREFIX + b2a_base64(raw, newline=False).decode()


def parse_secret(text: str) -> bytes:
    """The key that `format_secret` printed. Raises ValueError, which does not repeat the text."""
    if not text.startswith(_PREFIX):
        raise ValueError("a webhook secret begins with whsec_")
    try:
        raw = a2b_base64(text[len(_PREFIX) :].encode("ascii"), strict_mode=True)
    except (NotBase64, UnicodeEncodeError):
        raise ValueError("a webhook secret is whsec_ followed by base64") from None
    if not raw:
        raise ValueError("a webhook secret is whsec_ followed by base64")
    return raw


def parse_own_secret(text: str) -> bytes:
    """The key in a secret that its user made. Raises ValueError, which does not repeat the text."""
    raw = parse_secret(text)
    if not SHORTEST_KEY <= len(raw) <= LONGEST_KEY:
        raise ValueError(f"has {len(raw)} bytes of key; take {SHORTEST_KEY} to {LONGEST_KEY}, from a random source")
    if format_secret(raw) != text:  # bits beside the last byte: libraries differ in what they make of them
        raise ValueError("is not the base64 that its own bytes have; encode them again")
    return raw
