"""What the process asks of the system for itself, before it opens anything."""

from __future__ import annotations

import os
import resource


def prepare() -> None:
    """Files are closed to other users, a crash leaves no core dump (the memory holds every signing secret), and the
    limit of open files is the highest allowed: connections are descriptors, and the usual 1,024 are too few.

    A limit that the system does not let us change stays as it is."""
    os.umask(0o077)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE)[1])


def _limit(kind: int, soft: int) -> None:
    try:
        resource.setrlimit(kind, (soft, resource.getrlimit(kind)[1]))
    except (OSError, ValueError):
        return
