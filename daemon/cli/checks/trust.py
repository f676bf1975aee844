"""Whether the certificates of receivers can be verified at all."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING

from daemon.cli.checks.finding import Finding, failed, ok, warning
from daemon.egress.tls import client_context

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECK = "TLS roots"
_INSTALL = "Install the system's list (Debian: apt-get install ca-certificates), or name one in SSL_CERT_FILE."


def trust() -> Iterator[Finding]:
    paths = ssl.get_default_verify_paths()
    if (named := os.environ.get(paths.openssl_cafile_env)) and not paths.cafile:
        yield warning(CHECK, f"SSL_CERT_FILE names {named}, which is no file.", "Correct it, or unset it.")
        return
    try:
        loaded = client_context().cert_store_stats()["x509_ca"]
    except OSError as error:
        yield failed(CHECK, f"The list of certificate authorities cannot be read: {error.strerror or error}.", _INSTALL)
        return
    # Those in a folder are read when one of them is needed.
    yield judge(loaded, len(os.listdir(paths.capath)) if paths.capath else 0, paths.cafile or paths.capath)


def judge(loaded: int, beside: int, place: str | None) -> Finding:
    """`loaded` from a file, `beside` files in a folder; `place` is where the system has them, None: nowhere."""
    if not loaded and not beside:
        return failed(CHECK, f"No certificate authority is found in {place}: every https webhook fails.", _INSTALL)
    if place is None:
        return warning(CHECK, f"The system has none; {loaded} of certifi's list are trusted.", _INSTALL)
    return ok(CHECK, f"{loaded or beside} certificate authorities are trusted ({place}).")
