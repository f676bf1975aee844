"""A DNS server on loopback whose answers each test decides, and the daemon run with it as its only name server."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
import trio
from harness.daemon_process import COMMAND

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    Zone = Callable[[str], Awaitable[list[str]]]
    """The addresses of a name, of both families; it may take its time, or never return."""

A, AAAA = 1, 28
BEHIND = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'


class NameServer:
    """`asked` has every question, as (name, type), in the order of their coming; `unanswered` those under way."""

    def __init__(self, address: str, zone: Zone) -> None:
        self.address = address
        self.asked: list[tuple[str, int]] = []
        self.unanswered: set[tuple[str, int]] = set()
        self.zone = zone

    async def answer(self, sock: trio.socket.SocketType, query: bytes, client: tuple[str, int]) -> None:
        end = query.index(b"\0", 12)
        labels, place = list[str](), 12
        while place < end:
            labels.append(query[place + 1 : place + 1 + query[place]].decode())
            place += 1 + query[place]
        (kind,) = struct.unpack_from("!H", query, end + 1)
        question = (".".join(labels).lower(), kind)
        self.asked.append(question)
        self.unanswered.add(question)
        addresses = [ip_address(each) for each in await self.zone(question[0])]
        self.unanswered.discard(question)
        wanted = [each.packed for each in addresses if each.version == (4 if kind == A else 6)]
        records = [b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(packed)) + packed for packed in wanted]
        head = query[:2] + struct.pack("!HHHHH", 0x8180, 1, len(records), 0, 0)
        await sock.sendto(head + query[12 : end + 5] + b"".join(records), client)


@asynccontextmanager
async def name_server(zone: Zone) -> AsyncIterator[NameServer]:
    """On port 53 of a loopback address that no other test run has."""
    process = os.getpid()
    address = f"127.53.{process >> 8 & 255}.{process & 255}"
    with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            await sock.bind((address, 53))
        except PermissionError:
            pytest.skip("may not serve DNS here: port 53 needs root")
        server = NameServer(address, zone)
        async with trio.open_nursery() as nursery:

            async def serve() -> None:
                while True:
                    query, client = await sock.recvfrom(4096)
                    nursery.start_soon(server.answer, sock, query, client)

            nursery.start_soon(serve)
            yield server
            nursery.cancel_scope.cancel()


def asking(server: NameServer, folder: Path) -> list[str]:
    """The command that runs the daemon with a resolv.conf of its own; skips where that is not permitted."""
    told = folder / "resolv.conf"
    told.write_text(f"nameserver {server.address}\n")
    command = ["unshare", "--mount", "sh", "-ec", BEHIND, str(told)]
    try:
        permitted = subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        permitted = False
    if not permitted:
        pytest.skip("may not have a resolv.conf of its own here: mount namespaces need root and unshare")
    return [*command, *COMMAND]
