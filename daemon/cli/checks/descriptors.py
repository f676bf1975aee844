"""Whether there are enough file descriptors for what the settings allow at a time: each connection is one."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

from daemon.cli.checks.finding import Finding, failed, ok, warning
from daemon.cli.checks.processes import open_files, open_files_limit
from daemon.egress.resolver import THREADS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.settings import Settings

CHECK, USE = "file descriptors", "open descriptors"
_OTHERS = 64  # the database's, the log's, the listeners' and the event loop's own
_NEARLY_ALL = 0.9


def descriptors(settings: Settings, running: int | None) -> Iterator[Finding]:
    """Of the daemon that runs, or else of one that would be started from here: it takes the hard limit."""
    limit = None if running is None else open_files_limit(running)
    if limit is None:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    slots, connections = settings.delivery.max_concurrent, settings.server.max_connections
    yield judge(limit, slots, connections)
    if running is not None and (used := open_files(running)) is not None:
        yield judge_use(used, limit)


def judge(limit: int, slots: int, connections: int) -> Finding:
    needed = slots + connections + THREADS + _OTHERS
    says = (
        f"{limit} may be open; delivery.max_concurrent ({slots}), server.max_connections ({connections}) and the rest "
        f"need {needed}."
    )
    if 0 <= limit < needed:  # -1: RLIM_INFINITY
        return failed(
            CHECK, says, f"Raise the limit (LimitNOFILE={needed}, ulimit -Hn {needed}), or lower one of them."
        )
    return ok(CHECK, says)


def judge_use(used: int, limit: int) -> Finding:
    says = f"The daemon has {used} of {limit} open."
    if used > _NEARLY_ALL * limit >= 0:
        return warning(USE, says, "Raise LimitNOFILE, or find out whose connections these are: ss -tnp")
    return ok(USE, says)
