"""TLS to a receiver: always verified by name, and readable when it fails."""

from __future__ import annotations

import os
import ssl
from time import perf_counter
from typing import TYPE_CHECKING, Final

import httpx
import trio

from daemon.egress.faults import EgressError, LocalFault, is_local
from daemon.egress.tls_engine import RECORD_COST, TlsEngine
from daemon.egress.wire import CutOff

if TYPE_CHECKING:
    import socket

    from daemon.egress.turn_budget import TurnBudget

# The X509_V_ERR_* codes of OpenSSL's x509_vfy.h that people meet.
_CERTIFICATE = {
    9: "it is not valid yet",
    10: "it has expired",
    18: "it is self-signed",
    19: "it was issued by an authority that is not trusted (self-signed certificate in its chain)",
    20: "it was issued by an authority that is not trusted (or an intermediate certificate is missing)",
    21: "its chain is incomplete or not trusted (an intermediate certificate may be missing)",
    23: "it has been revoked",
    62: "it is for another name",
    64: "it is for another address",
}

# OpenSSL stops at 100 KB of certificates, but ignores some messages however many come.
_MAX_HANDSHAKE: Final = 256 * 1024


def client_context() -> ssl.SSLContext:
    """One context for every connection (each costs some 14 ms). Trusts what the system trusts, certifi's list when the
    system has none; `SSL_CERT_FILE` and `SSL_CERT_DIR` work as OpenSSL documents them."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile or (paths.capath and any(os.scandir(paths.capath))):
        context = ssl.create_default_context()
    else:
        context = httpx.create_ssl_context()
    return harden(context)


def harden(context: ssl.SSLContext) -> ssl.SSLContext:
    """Offers HTTP/1.1 alone; never renegotiates, so that a write never has to wait for a read; tells a proper end from
    a cut connection, which Python lets pass for one (RFC 9112 §9.8)."""
    context.set_alpn_protocols(["http/1.1"])
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


async def handshake(connected: socket.socket, context: ssl.SSLContext, host: str, budget: TurnBudget) -> TlsEngine:
    """Takes `connected` over and closes it unless it returns. Raises EgressError (`tls_failed`) or LocalFault."""
    engine: TlsEngine | None = None
    try:
        engine = TlsEngine(connected, context, host)
        await _shake(engine, host, budget)
    except BaseException as error:
        if engine is not None:
            engine.close()
        connected.close()
        if isinstance(error, OSError | ValueError):
            raise _explained(error, host) from error
        raise
    return engine


async def _shake(engine: TlsEngine, host: str, budget: TurnBudget) -> None:
    received = 0
    while True:
        await budget.turn()
        began = perf_counter()
        try:
            engine.tls.do_handshake()
            done = True
        except ssl.SSLWantReadError:
            done = False
        finally:
            budget.spend(began)
        while not engine.push():
            await trio.lowlevel.wait_writable(engine.socket)
        if done:
            return
        while (record := engine.take()) is None:
            await trio.lowlevel.wait_readable(engine.socket)
        received += len(record) + RECORD_COST
        if received > _MAX_HANDSHAKE:
            raise EgressError("tls_failed", f"The TLS handshake with {host} failed: it has no end.")
        engine.feed(record)


def _explained(error: OSError | ValueError, host: str) -> EgressError | LocalFault:
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = _CERTIFICATE.get(error.verify_code, error.verify_message or "verification failed")
        if error.verify_code in (62, 64):
            reason = f"{reason} than {host}"
        return EgressError("tls_failed", f"The certificate of {host} cannot be trusted: {reason}.")
    if isinstance(error, CutOff | ConnectionError):
        return EgressError("tls_failed", f"{host} closed the connection during the TLS handshake.")
    if isinstance(error, ssl.SSLError):
        if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"):
            return EgressError("tls_failed", f"{host} does not speak TLS on this port.")
        reason = (error.reason or "unknown").lower().replace("_", " ")
        return EgressError("tls_failed", f"The TLS handshake with {host} failed: {reason}.")
    if isinstance(error, OSError) and is_local(error):
        return LocalFault(f"TLS could not begin: {os.strerror(error.errno or 0)}.")
    return EgressError("tls_failed", f"The TLS handshake with {host} failed.")
