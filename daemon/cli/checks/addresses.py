"""Whether the addresses to listen on are free, or the daemon's already."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from daemon.cli.checks.finding import Finding, failed, ok, warning
from daemon.cli.checks.processes import listeners_on_path, listeners_on_port, sockets_of
from daemon.front_end.listeners import SETTINGS, probe, reason
from daemon.settings import UnixBind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.settings import Bind, Settings


def addresses(settings: Settings, running: int | None) -> Iterator[Finding]:
    for setting in SETTINGS.values():
        binds: tuple[Bind, ...] = getattr(settings.server, setting)
        for bind in binds:
            yield _address(f"server.{setting}", bind, running)


def _address(check: str, bind: Bind, running: int | None) -> Finding:
    if not isinstance(bind, UnixBind) and not bind.port:
        return ok(check, f"{bind}: the system chooses a port at each start.")
    refused = probe(bind)
    if refused is None and running is None:
        return ok(check, f"{bind} is free.")
    if refused is None:
        says = f"{bind} is free, although the daemon runs (process {running})."
        return warning(check, says, "It was started with another configuration: restart it to use this one.")
    if refused.errno != errno.EADDRINUSE:
        return failed(check, f"{bind} cannot be listened on.", f"Because: {reason(refused)}.")
    ours = None if running is None else sockets_of(running)
    if running is not None and ours is None:
        says = f"Somebody listens on {bind}; whether it is the daemon (process {running}) cannot be seen."
        return warning(check, says, "Run this as root, or as the user that the daemon runs as.")
    listening = listeners_on_path(bind.path) if isinstance(bind, UnixBind) else listeners_on_port(bind.port)
    if ours is not None and ours & listening:
        return ok(check, f"The daemon (process {running}) listens on {bind}.")
    return failed(check, f"Another program listens on {bind}.", "Find it (ss -lntxp) and stop it, or choose another.")
