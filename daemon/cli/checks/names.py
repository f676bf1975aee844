"""Whether names can be looked up as the daemon does it. Never a failure: a machine may be kept off the Internet."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from daemon.cli.checks.finding import Finding, ok, warning
from daemon.egress.resolver import PROMPT, look_up

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECK = "DNS"
NAME: Final = "example.com"
"""Reserved for such uses (RFC 2606), and always there."""

_PATIENCE = 5.0


def names() -> Iterator[Finding]:
    answers: list[str | None] = []

    def ask() -> None:
        try:
            look_up(NAME, 443)
        except socket.gaierror as error:
            answers.append(error.strerror or "no answer")
        except OSError as error:
            answers.append(error.strerror or str(error))
        else:
            answers.append(None)

    began = time.monotonic()
    # A daemon: `getaddrinfo` cannot be cancelled, and must not hold up the end of the program.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_PATIENCE)
    fault = answers[0] if answers else f"no answer within {_PATIENCE:g} s"
    yield judge(_name_servers(), fault, time.monotonic() - began)


def judge(servers: list[str], fault: str | None, seconds: float) -> Finding:
    """`fault`: why the look-up failed, None if it did not."""
    by = f" (name servers: {', '.join(servers)})" if servers else " (no name server is configured)"
    if fault is not None:
        says = f"Looking up {NAME} failed: {fault}{by}."
        advice = "Without the Internet that is right, and only webhooks by address or in /etc/hosts are reached; else "
        return warning(CHECK, says, advice + "see /etc/resolv.conf and the firewall.")
    says = f"{NAME} was looked up in {seconds * 1000:.0f} ms{by}."
    if seconds > PROMPT:
        return warning(CHECK, says, "Deliveries wait for that: use a name server nearby, or a caching one.")
    return ok(CHECK, says)


def _name_servers() -> list[str]:
    try:
        lines = Path("/etc/resolv.conf").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [words[1] for line in lines if (words := line.split())[:1] == ["nameserver"] and len(words) > 1]
