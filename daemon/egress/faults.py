"""What can go wrong on the way to a receiver, in two kinds: theirs is an outcome, ours is no attempt."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from daemon.egress.exchange import Phase
    from daemon.model import ErrorCode

# Our own exhaustion: no descriptor, memory, buffer, local port or interface. Not the receiver's doing.
_LOCAL = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL, errno.ENETDOWN},
)


class EgressError(httpx.TransportError):
    """The attempt ended before a final response head. `code` is the outcome's error (CONTRACT §4);
    `detail` a sentence for the tenant, which never says what a name resolved to when it was blocked."""

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(detail)
        self.code: ErrorCode = code
        self.detail = detail


class LocalFault(Exception):
    """We could not even begin: the cause is this machine's, and not one byte of the request was written."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


def is_local(error: OSError) -> bool:
    """Whether this machine, not the receiver or the way to it, is the cause."""
    return error.errno in _LOCAL


def too_late(phase: Phase, host: str) -> EgressError:
    """What an attempt comes to whose time is up in this phase, before a final head."""
    match phase:
        case "resolve":
            return EgressError("dns_failed", f"Looking up {host} took too long.")
        case "connect":
            return EgressError("connect_timeout", f"{host} did not accept a connection in time.")
        case "tls":
            return EgressError("tls_failed", f"The TLS handshake with {host} did not end in time.")
        case "send":
            return EgressError("send_failed", "The receiver stopped reading: the request could not be sent in time.")
        case _:
            return EgressError("response_timeout", "The receiver sent no complete response head in time.")
