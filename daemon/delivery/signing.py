"""Signatures of the Standard Webhooks specification 1.0.0: `v1,<base64 HMAC-SHA256 of "id.timestamp.body">`."""

from __future__ import annotations

import hmac
from binascii import Error as NotBase64
from binascii import a2b_base64, b2a_base64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_PREFIX = "whsec_"


class Signer:
    """A webhook's secrets, the newest first, with the keyed state of each computed once (RFC 2104 §4)."""

    __slots__ = ("_keyed",)

    def __init__(self, secrets: Sequence[bytes]) -> None:
        self._keyed = [hmac.new(secret, digestmod="sha256") for secret in secrets]

    def sign(self, id: str, timestamp: int, body: bytes) -> bytes:
        """The value of `webhook-signature`: one signature for each secret, separated by spaces.

        `timestamp` is in seconds since the Unix epoch."""
        message = b"%b.%d.%b" % (id.encode(), timestamp, body)
        signatures: list[bytes] = []
        for keyed in self._keyed:
            state = keyed.copy()
            state.update(message)
            signatures.append(b"v1," + b2a_base64(state.digest(), newline=False))
        return b" ".join(signatures)


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
