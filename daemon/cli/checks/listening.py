"""Where a daemon that runs really listens: systemd may have handed it other sockets than the settings name, and the
settings may have been changed since it was started."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from daemon.cli.checks.processes import environment_of, listeners, sockets_of
from daemon.front_end.listeners import FIRST_FD, ListenError, roles_passed

if TYPE_CHECKING:
    from daemon.front_end.capacity import Role
    from daemon.settings import Bind


class Listening(NamedTuple):
    """`passed`: by role, what systemd handed over, which stands in for that role's setting. `everywhere`: those, and
    what the daemon opened itself."""

    passed: dict[Role, list[Bind]]
    everywhere: list[Bind]


def listening(pid: int) -> Listening | None:
    """None if that process may not be looked at."""
    environment, sockets = environment_of(pid), sockets_of(pid)
    if environment is None or sockets is None:
        return None
    known = listeners()
    here = {fd: known[inode] for fd, inode in sorted(sockets.items()) if inode in known}
    try:
        roles = roles_passed(environment, pid)
    except ListenError:
        roles = []
    passed: dict[Role, list[Bind]] = {}
    for fd, role in enumerate(roles, FIRST_FD):
        if fd in here:
            passed.setdefault(role, []).append(here[fd])
    return Listening(passed, list(here.values()))
