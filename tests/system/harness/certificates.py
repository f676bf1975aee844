"""Certificates, good and bad, from a throw-away authority."""

from __future__ import annotations

import datetime
import ssl
from typing import TYPE_CHECKING

import trustme

if TYPE_CHECKING:
    from pathlib import Path

NAME = "127.0.0.1"


class Authority:
    """An authority that the daemon trusts when `env` is in its environment (OpenSSL's SSL_CERT_FILE)."""

    def __init__(self, folder: Path) -> None:
        self._authority = trustme.CA()
        bundle = folder / "authority.pem"
        self._authority.cert_pem.write_to_path(str(bundle))
        self.env = {"SSL_CERT_FILE": str(bundle)}

    def good(self) -> ssl.SSLContext:
        return _server(self._authority.issue_cert(NAME))

    def with_tickets_for_ever(self) -> ssl.SSLContext:
        """Two thousand session tickets follow the handshake, half a megabyte."""
        context = self.good()
        context.num_tickets = 2000
        return context

    def for_another_name(self) -> ssl.SSLContext:
        return _server(self._authority.issue_cert("elsewhere.example"))

    def expired(self) -> ssl.SSLContext:
        long_ago = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
        return _server(
            self._authority.issue_cert(NAME, not_before=long_ago, not_after=long_ago + datetime.timedelta(days=1))
        )


def from_nobody_known() -> ssl.SSLContext:
    """A certificate for the right name from an authority that nobody trusts."""
    return _server(trustme.CA().issue_cert(NAME))


def _server(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context
