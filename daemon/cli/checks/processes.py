"""What proc(5) says of another process and of sockets. Whatever may not be seen is None."""

from __future__ import annotations

import ipaddress
import os
import re
import struct
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.settings import TcpBind, UnixBind

if TYPE_CHECKING:
    from collections.abc import Collection

    from daemon.settings import Bind

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


def environment_of(pid: int) -> dict[str, str] | None:
    """With what it was started; values may be secrets."""
    try:
        text = Path(f"/proc/{pid}/environ").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    return {name: value for name, _, value in (part.partition("=") for part in text.split("\0"))}


def sockets_of(pid: int) -> dict[int, str] | None:
    """The inodes of its sockets, by descriptor."""
    inodes: dict[int, str] = {}
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                target = os.readlink(entry.path)
                if target.startswith("socket:["):
                    inodes[int(entry.name)] = target[8:-1]
    except OSError:
        return None
    return inodes


def owners(inodes: Collection[str]) -> frozenset[int]:
    """The processes that have one of these sockets open, as far as they may be seen: all, for root."""
    pids = [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()]
    return frozenset(pid for pid in pids if any(inode in inodes for inode in (sockets_of(pid) or {}).values()))


def listeners() -> dict[str, Bind]:
    """Where somebody listens on this machine, by the socket's inode."""
    found: dict[str, Bind] = {}
    for family in ("tcp", "tcp6"):
        for line in _lines(f"/proc/net/{family}"):
            fields = line.split()
            local, state, inode = fields[1], fields[3], fields[9]
            if state == _LISTENING:
                address, _, port = local.rpartition(":")
                found[inode] = TcpBind(_host(address), int(port, 16))
    for line in _lines("/proc/net/unix"):
        # Num RefCount Protocol Flags Type St Inode Path
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and int(fields[3], 16) & _ACCEPTING:
            found[fields[6]] = UnixBind(fields[7])
    return found


def _host(address: str) -> str:
    """Words of 32 bits in the machine's order, in hexadecimal."""
    words = [int(address[start : start + 8], 16) for start in range(0, len(address), 8)]
    return str(ipaddress.ip_address(struct.pack(f"={len(words)}I", *words)))


def _lines(table: str) -> list[str]:
    try:
        return Path(table).read_text(encoding="utf-8", errors="surrogateescape").splitlines()[1:]
    except OSError:
        return []
