"""Opening a TCP connection to the first of several addresses that answers (RFC 8305, "happy eyeballs")."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING, Final

import trio

from daemon.egress.faults import EgressError, LocalFault, is_local

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.egress.resolver import SockAddr

ATTEMPT_DELAY: Final = 0.25
# A name server can answer with thousands of addresses: one delivery must neither take our descriptors nor scan for it.
MOST_ADDRESSES: Final = 8

_Failure = tuple["SockAddr", OSError]


def shown(address: SockAddr) -> str:
    """`host:port`, an IPv6 host in brackets."""
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"


async def connect(addresses: Sequence[SockAddr]) -> tuple[socket.socket, SockAddr]:
    """Tries the first 8 addresses in order, the next one when one fails or after 250 ms; the first to answer wins.

    Raises EgressError (`connect_refused`, `connect_timeout`, `connect_failed`) or LocalFault. Has no deadline of its
    own. Whatever happens, cancellation too, every socket but the returned one is closed."""
    failures: list[_Failure] = []
    if len(addresses) == 1:
        address = addresses[0]
        try:
            return await _connect_one(address), address
        except OSError as error:
            failures.append((address, error))
    else:
        won = await _race(addresses, failures)
        if won is not None:
            return won
    raise _verdict(failures)


async def _race(addresses: Sequence[SockAddr], failures: list[_Failure]) -> tuple[socket.socket, SockAddr] | None:
    won: tuple[socket.socket, SockAddr] | None = None

    async def run(address: SockAddr, failed: trio.Event) -> None:
        nonlocal won
        try:
            connected = await _connect_one(address)
        except OSError as error:
            failures.append((address, error))
            failed.set()
            return
        if won is None:
            won = connected, address
            nursery.cancel_scope.cancel()
        else:
            connected.close()

    try:
        async with trio.open_nursery() as nursery:
            for address in addresses[:MOST_ADDRESSES]:
                failed = trio.Event()
                nursery.start_soon(run, address, failed)
                with trio.move_on_after(ATTEMPT_DELAY):
                    await failed.wait()
    except BaseException:
        if won is not None:
            won[0].close()
        raise
    return won


async def _connect_one(address: SockAddr) -> socket.socket:
    family = socket.AF_INET if len(address) == 2 else socket.AF_INET6
    opening = socket.socket(family, socket.SOCK_STREAM)
    try:
        opening.setblocking(False)
        opening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = opening.connect_ex(address)
        if code == errno.EINPROGRESS:
            await trio.lowlevel.wait_writable(opening)
            code = opening.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code == errno.EADDRNOTAVAIL and not _has_source(family, address):
            code = errno.ENETUNREACH
        if code:
            raise OSError(code, os.strerror(code))
        # A loopback port that nobody listens on can be handed out as our own source port: we would talk to ourselves.
        if opening.getsockname() == opening.getpeername():
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
    except BaseException:
        opening.close()
        raise
    return opening


def _has_source(family: socket.AddressFamily, address: SockAddr) -> bool:
    """Whether this machine has an address to reach `address` from; nothing is sent. Without one (IPv6 disabled, say)
    the kernel says what it says when local ports are used up, but waiting will not help."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(address)
    except OSError:
        return False
    return True


def _verdict(failures: Sequence[_Failure]) -> EgressError | LocalFault:
    """What several failures come to: ours only if no address answered anything, else what tells a person most."""
    theirs = [failure for failure in failures if not is_local(failure[1])]
    if not theirs:
        return LocalFault(f"A connection could not be opened: {_reason(failures[0][1])}.")
    address, error = min(theirs, key=lambda failure: _RANK.get(failure[1].errno or 0, 2))
    if error.errno == errno.ECONNREFUSED:
        return EgressError("connect_refused", f"{shown(address)} refused the connection: nothing listens there.")
    if error.errno == errno.ETIMEDOUT:
        return EgressError("connect_timeout", f"{shown(address)} did not answer in time.")
    return EgressError("connect_failed", f"{shown(address)} cannot be reached: {_reason(error)}.")


_RANK = {errno.ECONNREFUSED: 0, errno.ETIMEDOUT: 1}


def _reason(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno else "unknown error"
