"""What the process asks for itself: of the system before it opens anything, of the interpreter once all is made, of the
C library when all is quiet."""

from __future__ import annotations

import ctypes
import gc
import os
import resource

# Nearly all that a delivery makes dies with its last reference, so the collector finds little for its pains; Python's
# own threshold of 700 made it a sixth of all CPU time under load. While it looks, about a millisecond for so many,
# nobody else has a turn.
_YOUNG_OBJECTS = 5_000
# glibc's alone. It returns what was freed at the end of its heaps, and keeps what lies below anything still in use.
_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


def prepare() -> None:
    """Files are closed to other users, a crash leaves no core dump (the memory holds every signing secret), and the
    limit of open files is the highest allowed: connections are descriptors, and the usual 1,024 are too few.

    A limit that the system does not let us change stays as it is."""
    os.umask(0o077)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE)[1])


def settle() -> None:
    """Once all that lives as long as the process is made: the collector of cycles need not look at it ever again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 200, 100)


def give_back() -> None:
    """Free memory goes back to the system: after a burst of large requests that is as much as is in use."""
    if _malloc_trim is not None:
        _malloc_trim(0)


def _limit(kind: int, soft: int) -> None:
    try:
        resource.setrlimit(kind, (soft, resource.getrlimit(kind)[1]))
    except (OSError, ValueError):
        return
