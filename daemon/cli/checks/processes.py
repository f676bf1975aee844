"""What proc(5) says of another process and of sockets. Whatever may not be seen is None."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

_LISTENING = "0A"  # TCP_LISTEN, include/net/tcp_states.h
_ACCEPTING = 0x10000  # __SO_ACCEPTCON
_LIMIT = re.compile(r"^Max open files +(\d+|unlimited) ", re.MULTILINE)


def open_files_limit(pid: int) -> int | None:
    """The soft limit that is in force for it; None, too, if there is none."""
    try:
        found = _LIMIT.search(Path(f"/proc/{pid}/limits").read_text(encoding="ascii"))
    except OSError:
        return None
    return int(found[1]) if found is not None and found[1] != "unlimited" else None


def open_files(pid: int) -> int | None:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return None


def sockets_of(pid: int) -> frozenset[str] | None:
    """The inodes of its sockets."""
    inodes: set[str] = set()
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                target = os.readlink(entry.path)
                if target.startswith("socket:["):
                    inodes.add(target[8:-1])
    except OSError:
        return None
    return frozenset(inodes)


def listeners_on_port(port: int) -> frozenset[str]:
    """The inodes of all sockets that listen on that TCP port."""
    found: set[str] = set()
    for family in ("tcp", "tcp6"):
        for line in _lines(f"/proc/net/{family}"):
            fields = line.split()
            local, state, inode = fields[1], fields[3], fields[9]
            if state == _LISTENING and int(local.rpartition(":")[2], 16) == port:
                found.add(inode)
    return frozenset(found)


def listeners_on_path(path: str) -> frozenset[str]:
    """The same of a Unix socket."""
    found: set[str] = set()
    for line in _lines("/proc/net/unix"):
        # Num RefCount Protocol Flags Type St Inode Path
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and fields[7] == path and int(fields[3], 16) & _ACCEPTING:
            found.add(fields[6])
    return frozenset(found)


def _lines(table: str) -> list[str]:
    try:
        return Path(table).read_text(encoding="utf-8", errors="surrogateescape").splitlines()[1:]
    except OSError:
        return []
