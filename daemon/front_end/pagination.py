"""Sealed cursors: opaque to whoever holds one, useless for another list, another tenant or after a change. Pure.

A cursor hides the place (`seq`) it stands for, because seqs are shared by all tenants and would tell one how busy the
others are: base64url of nonce (8) + masked seq (8) + MAC (16), mask and MAC being HMAC-SHA256 under a key of the store.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets

_NONCE = 8
_PLACE = 8
_MAC = 16


class BadCursor(ValueError):
    """Not a cursor of ours, or not one for this list."""


def seal(key: bytes, scope: str, seq: int) -> str:
    """The cursor for the rows before `seq` in the list that `scope` names."""
    nonce = secrets.token_bytes(_NONCE)
    place = _masked(key, nonce, seq.to_bytes(_PLACE, "big"))
    return _text(nonce + place + _mac(key, scope, nonce + place))


def unseal(key: bytes, scope: str, cursor: str) -> int:
    """The seq that `seal` was given. Raises BadCursor for anything that it did not make for this key and scope."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise BadCursor from None
    sealed, mac = raw[: _NONCE + _PLACE], raw[_NONCE + _PLACE :]
    if len(sealed) != _NONCE + _PLACE or not hmac.compare_digest(mac, _mac(key, scope, sealed)):
        raise BadCursor
    if _text(raw) != cursor:  # base64 has spare bits: one cursor has one spelling
        raise BadCursor
    return int.from_bytes(_masked(key, sealed[:_NONCE], sealed[_NONCE:]), "big")


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _masked(key: bytes, nonce: bytes, place: bytes) -> bytes:
    mask = hmac.digest(key, b"mask" + nonce, "sha256")
    return bytes(a ^ b for a, b in zip(place, mask, strict=False))


def _mac(key: bytes, scope: str, sealed: bytes) -> bytes:
    return hmac.digest(key, b"seal" + sealed + scope.encode(), "sha256")[:_MAC]
