"""Whether the addresses to listen on are free, or the daemon's already."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.cli.checks.finding import Finding, failed, ok, warning
from daemon.cli.checks.listening import listening
from daemon.cli.checks.processes import listeners, owners
from daemon.front_end.listeners import SETTINGS, probe, reason
from daemon.settings import TcpBind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.settings import Bind, Settings

_INIT = frozenset({1})
_BOOTED = Path("/run/systemd/system")  # sd_booted(3)
_AS_ANOTHER = "Run this as root, or as the user that the daemon runs as."


def addresses(settings: Settings, running: int | None) -> Iterator[Finding]:
    found = None if running is None else listening(running)
    for role, setting in SETTINGS.items():
        check = f"server.{setting}"
        if found is not None and (passed := found.passed.get(role)):
            places = ", ".join(map(str, passed))
            yield ok(check, f"The daemon (process {running}) listens on {places}, which systemd handed to it.")
            continue
        binds: tuple[Bind, ...] = getattr(settings.server, setting)
        for bind in binds:
            yield _address(check, bind, running, seen=found is not None)


def _address(check: str, bind: Bind, running: int | None, *, seen: bool) -> Finding:
    if isinstance(bind, TcpBind) and not bind.port:
        return ok(check, f"{bind}: the system chooses a port at each start.")
    refused = probe(bind)
    if refused is None and running is None:
        return ok(check, f"{bind} is free.")
    if refused is None and not seen:
        says = f"{bind} is free; where the daemon (process {running}) listens instead cannot be seen."
        return warning(check, says, _AS_ANOTHER)
    if refused is None:
        says = f"{bind} is free, although the daemon runs (process {running})."
        return warning(check, says, "It was started with another configuration: restart it to use this one.")
    if refused.errno != errno.EADDRINUSE:
        return failed(check, f"{bind} cannot be listened on.", f"Because: {reason(refused)}.")
    inodes = {inode for inode, place in listeners().items() if _same(place, bind)}
    return judge(check, bind, owners(inodes), running, systemd=_BOOTED.is_dir())


def _same(one: Bind, other: Bind) -> bool:
    """The same port, on whatever address: a host may be a name."""
    if isinstance(one, TcpBind) and isinstance(other, TcpBind):
        return one.port == other.port
    return one == other


def judge(check: str, bind: Bind, owners: frozenset[int], running: int | None, *, systemd: bool) -> Finding:
    """`owners`: the processes seen to have a socket open that listens there; `running`: the daemon; `systemd`: whether
    that is this machine's process 1."""
    if running in owners:
        return ok(check, f"The daemon (process {running}) listens on {bind}.")
    if not owners:
        says = f"Somebody listens on {bind}; whether it is the daemon, or systemd for it, cannot be seen."
        return warning(check, says, _AS_ANOTHER)
    if owners != _INIT or not systemd:
        pids = ", ".join(map(str, sorted(owners)))
        return failed(check, f"Another program listens on {bind} (process {pids}).", "Stop it, or choose another.")
    if running is not None:
        says = f"systemd holds {bind}, but the daemon (process {running}) was started without that socket."
        return warning(check, says, "Stop it, and start it as the service: systemctl start tenant-webhooks")
    return ok(check, f"systemd holds {bind} for the daemon, by a unit that systemctl list-sockets names.")
