"""TLS records such as no TLS library writes: sealed here, with the keys of a server that has shaken hands."""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

if TYPE_CHECKING:
    from pathlib import Path

HANDSHAKE, DATA = 22, 23
# RFC 8446 §4.6.1: no shorter one is valid. §4.6.3: the last byte wants an answer.
TICKET = b"\x04\0\0\x0e" + struct.pack(">IIBHsH", 7200, 1, 0, 1, b"t", 0)
KEY_UPDATE = b"\x18\0\0\x01\x01"
# RFC 5246 §7.4.1.1.
HELLO_REQUEST = b"\0\0\0\0"
# The one cipher suite of TLS 1.2 that is spoken here; in TLS 1.3 it is the default.
TLS12_CIPHER = "ECDHE-ECDSA-AES256-GCM-SHA384"


class Sealer13:
    """What a TLS 1.3 server writes, from its first record after the handshake on (TLS_AES_256_GCM_SHA384)."""

    def __init__(self, keys: Path) -> None:
        self._secret = _logged(keys, "SERVER_TRAFFIC_SECRET_0")[1]
        self._take_keys()

    def seal(self, kind: int, data: bytes) -> bytes:
        inner = data + bytes([kind])
        header = struct.pack(">BHH", DATA, 0x0303, len(inner) + 16)
        nonce = (self._nonce ^ self._number).to_bytes(12, "big")
        self._number += 1
        return header + self._key.encrypt(nonce, inner, header)

    def update(self) -> bytes:
        """A key update; what is sealed next is sealed with the new key."""
        record = self.seal(HANDSHAKE, KEY_UPDATE)
        self._secret = self._expand(b"traffic upd", 48)
        self._take_keys()
        return record

    def _take_keys(self) -> None:
        self._key = AESGCM(self._expand(b"key", 32))
        self._nonce = int.from_bytes(self._expand(b"iv", 12), "big")
        self._number = 0

    def _expand(self, label: bytes, length: int) -> bytes:
        info = struct.pack(">HB", length, len(label) + 6) + b"tls13 " + label + b"\0"
        return HKDFExpand(hashes.SHA384(), length, info).derive(self._secret)


class Sealer12:
    """What a TLS 1.2 server writes after its Finished; `server_random` as in its ServerHello."""

    def __init__(self, keys: Path, server_random: bytes) -> None:
        client_random, master = _logged(keys, "CLIENT_RANDOM")
        block = _expand12(master, b"key expansion" + server_random + client_random, 72)
        self._key, self._salt, self._number = AESGCM(block[32:64]), block[68:72], 1

    def seal(self, kind: int, data: bytes) -> bytes:
        number = struct.pack(">Q", self._number)
        self._number += 1
        sealed = self._key.encrypt(self._salt + number, data, number + struct.pack(">BHH", kind, 0x0303, len(data)))
        return struct.pack(">BHH", kind, 0x0303, len(number + sealed)) + number + sealed


def _logged(keys: Path, label: str) -> tuple[bytes, bytes]:
    """The client's random and the secret, of an `ssl.SSLContext.keylog_filename`."""
    (line,) = [line.split() for line in keys.read_text().splitlines() if line.startswith(label)]
    return bytes.fromhex(line[1]), bytes.fromhex(line[2])


def _expand12(secret: bytes, seed: bytes, length: int) -> bytes:
    """P_SHA384 of RFC 5246 §5."""
    out, link = b"", seed
    while len(out) < length:
        link = hmac.digest(secret, link, hashlib.sha384)
        out += hmac.digest(secret, link + seed, hashlib.sha384)
    return out[:length]
