"""A 202 is sent after the WAL has been fsynced, as the kernel sees it (CONTRACT §5, §8.1)."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio
from harness.events import session_event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from harness.daemon_process import Daemon
    from harness.starting import Daemons, Receivers

PUBLISHED = 5
# What strace writes at a call's end: at once, or when the thread gets it back.
WAL_IS_SYNCED = re.compile(r"f(data)?sync\(\d+<[^>]*-wal>\) += 0$")
BEGINS_TO_SYNC_WAL = re.compile(r"^(\d+) +f(data)?sync\(\d+<[^>]*-wal> <unfinished")
HAS_SYNCED = re.compile(r"^(\d+) +<\.\.\. f(data)?sync resumed>\) += 0$")


@asynccontextmanager
async def traced(daemon: Daemon, output: Path) -> AsyncIterator[None]:
    """Every sync, receive and send of the daemon, one a line, in their order."""
    if shutil.which("strace") is None:
        pytest.skip("watching system calls needs strace")
    calls = "trace=fsync,fdatasync,recvfrom,sendto"
    process = await trio.lowlevel.open_process(
        ["strace", "-f", "-y", "-s", "40", "-e", calls, "-o", str(output), "-p", str(daemon.process.pid)],
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    said = b""
    with trio.fail_after(10):
        while b"attached" not in said:
            chunk = await process.stderr.receive_some()
            if not chunk:
                pytest.skip(f"this user may not watch system calls: {said.decode()}")
            said += chunk
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        with trio.CancelScope(shield=True):
            await process.wait()
            await process.stderr.aclose()


def told(lines: list[str]) -> list[str]:
    """What matters of it: `asked` and `answered` (a publisher), `synced` (the WAL), `sent` (to the receiver)."""
    syncing: set[str] = set()
    found: list[str] = []
    for line in lines:
        if begins := BEGINS_TO_SYNC_WAL.match(line):
            syncing.add(begins[1])
        elif WAL_IS_SYNCED.search(line):
            found.append("synced")
        elif (ends := HAS_SYNCED.match(line)) and ends[1] in syncing:
            syncing.discard(ends[1])
            found.append("synced")
        elif "POST /v1/events" in line:
            found.append("asked")
        elif "HTTP/1.1 202" in line:
            found.append("answered")
        elif "POST /hook" in line:
            found.append("sent")
    return found


async def test_the_wal_is_fsynced_between_a_publish_and_its_202(
    daemons: Daemons, receivers: Receivers, tmp_path: Path
) -> None:
    receiver = await receivers.start()
    daemon = await daemons.start()
    acme = await daemon.tenant()
    webhook = await acme.register(receiver.url)
    # So that no claim and no outcome fsyncs beside it.
    await acme.ask("DELETE", f"/v1/webhooks/{webhook['id']}")
    output = tmp_path / "calls"
    async with traced(daemon, output):
        for number in range(PUBLISHED):
            await acme.publish(session_event(f"s-{number}"))
    order = told(output.read_text().splitlines())
    assert order.count("asked") == order.count("answered") == PUBLISHED, order
    for begin in [at for at, what in enumerate(order) if what == "asked"]:
        answered = order.index("answered", begin)
        assert "synced" in order[begin:answered], order


async def test_a_claim_is_fsynced_before_the_first_byte_of_its_post(
    daemons: Daemons, receivers: Receivers, tmp_path: Path
) -> None:
    receiver = await receivers.start()
    daemon = await daemons.start()
    acme = await daemon.tenant()
    await acme.register(receiver.url)
    output = tmp_path / "calls"
    async with traced(daemon, output):
        for number in range(PUBLISHED):
            await acme.finished(await acme.publish(session_event(f"s-{number}")))
    order = told(output.read_text().splitlines())
    assert order.count("sent") == PUBLISHED, order
    begins = [at for at, what in enumerate(order) if what == "asked"]
    first, *others = [order[begin : order.index("sent", begin)].count("synced") for begin in begins]
    # One commit for the event, and another for the claim, unless that was foreseen.
    assert first == 2, order
    assert {1} <= {*others} <= {1, 2}, order
