"""What the service manager is told (sd_notify(3)): a real socket stands where systemd's would."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import trio
from harness.configuration import configuration, toml
from harness.events import session_event
from harness.faults import starting_until
from harness.receiver import never_answers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from harness.starting import Daemons, Receivers

WITHIN = 10


class Manager:
    """Takes notifications; `said` are those that came, one assignment each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.said: list[str] = []
        self._socket = trio.socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    async def bind(self) -> None:
        await self._socket.bind(str(self.path))

    async def hears(self, beginning: str, *, times: int = 1) -> str:
        """Wait until an assignment that begins so has come, that many times from now on; returns the last."""
        heard = ""
        with trio.fail_after(WITHIN):
            while times:
                for assignment in (await self._socket.recv(65_536)).decode().splitlines():
                    self.said.append(assignment)
                    if assignment.startswith(beginning):
                        times, heard = times - 1, assignment
        return heard

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
async def manager(tmp_path: Path) -> AsyncIterator[Manager]:
    with closing(Manager(tmp_path / "notify")) as standing_in:
        await standing_in.bind()
        yield standing_in


async def test_it_is_told_of_readiness_only_when_serving_and_of_the_stop_before_the_end(
    manager: Manager, daemons: Daemons
) -> None:
    daemon = await daemons.start(env={"NOTIFY_SOCKET": str(manager.path)})
    await manager.hears("READY=1")
    assert await manager.hears("STATUS=") == "STATUS=0 in flight, 0 waiting"
    assert (await daemon.caller(None).request("GET", "/readyz")).status_code == 200
    daemon.terminate()
    await manager.hears("STOPPING=1")
    assert await daemon.exit_code() == 0
    assert manager.said.count("READY=1") == 1


async def test_a_reload_in_the_middle_of_the_start_tells_nobody_that_it_is_ready(
    manager: Manager, daemons: Daemons, tmp_path: Path
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    daemon = await daemons.launch(env={"NOTIFY_SOCKET": str(manager.path)}, command=starting_until(fifo))
    await manager.hears("STATUS=The daemon is starting.")
    daemon.process.send_signal(signal.SIGHUP)
    await daemon.log.wait("daemon.reloaded", within=WITHIN)
    fifo.write_bytes(b"")
    await daemon.log.wait("daemon.ready", within=WITHIN)
    daemon.terminate()
    await manager.hears("STOPPING=1")
    assert manager.said.count("READY=1") == 1
    assert "RELOADING=1" not in manager.said


async def test_an_abstract_socket_is_told_as_well(tmp_path: Path, daemons: Daemons) -> None:
    name = f"tenant-webhooks-{tmp_path.name}-{id(daemons)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as standing_in:
        standing_in.bind(f"\0{name}")
        standing_in.settimeout(WITHIN)
        await daemons.start(env={"NOTIFY_SOCKET": f"@{name}"})
        assert await trio.to_thread.run_sync(standing_in.recv, 65_536) in (
            b"READY=1",
            b"STATUS=The daemon is starting.",
        )


async def test_the_status_line_says_what_is_in_flight_and_what_waits(
    manager: Manager, daemons: Daemons, receivers: Receivers
) -> None:
    environment = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "300000"}
    settings = {"delivery": {"max_concurrent_per_webhook": 1, "drain_timeout": 0.1}}
    daemon = await daemons.start(settings, env=environment)
    hanging = await receivers.start(never_answers)
    acme = await daemon.tenant()
    await acme.register(hanging.url)
    await acme.publish(*[session_event(f"s-{n}") for n in range(3)])
    await manager.hears("STATUS=1 in flight, 2 waiting")


async def test_the_watchdog_is_fed_while_all_is_well_and_while_the_storage_fails(
    manager: Manager, daemons: Daemons
) -> None:
    daemon = await daemons.start(env={"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "300000"})
    await manager.hears("WATCHDOG=1", times=3)
    acme = await daemon.tenant()
    with closing(sqlite3.connect(daemon.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = await acme.request("POST", "/v1/events", session_event("s"))
        assert answer.status_code == 503
        await manager.hears("WATCHDOG=1", times=3)
    assert any(said.startswith("STATUS=database is locked") for said in manager.said), manager.said


async def test_a_reload_is_announced_and_over_when_the_new_settings_hold(manager: Manager, daemons: Daemons) -> None:
    daemon = await daemons.start(env={"NOTIFY_SOCKET": str(manager.path)})
    await manager.hears("READY=1")
    acme = await daemon.tenant()
    config = daemon.database.with_suffix(".toml")
    config.write_text(toml(configuration(daemon.database, {"logging": {"level": "error"}})))
    daemon.process.send_signal(signal.SIGHUP)
    await manager.hears("MONOTONIC_USEC=")
    assert manager.said[-2] == "RELOADING=1"
    await manager.hears("READY=1")
    await acme.publish(session_event("quiet"))
    config.write_text("broken")
    daemon.process.send_signal(signal.SIGHUP)
    await daemon.log.wait("daemon.reload_refused", within=WITHIN)
    assert not daemon.log.of("event.accepted")


async def test_a_process_that_stands_still_does_not_feed_the_watchdog(manager: Manager, daemons: Daemons) -> None:
    daemon = await daemons.start(env={"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "300000"})
    await manager.hears("WATCHDOG=1")
    daemon.process.send_signal(signal.SIGSTOP)
    before = len(manager.said)
    with trio.move_on_after(1):
        await manager.hears("never")
    daemon.process.send_signal(signal.SIGCONT)
    assert manager.said[before:].count("WATCHDOG=1") <= 1, "one may have been on its way"


async def test_a_watchdog_of_another_process_is_not_fed(manager: Manager, daemons: Daemons) -> None:
    environment = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "300000", "WATCHDOG_PID": "1"}
    daemon = await daemons.start(env=environment)
    daemon.terminate()
    await manager.hears("STOPPING=1")
    assert "WATCHDOG=1" not in manager.said


@pytest.mark.parametrize("address", ["/nowhere/notify", "vsock:1:2", "relative"])
async def test_a_manager_that_cannot_be_reached_keeps_nothing_from_running(address: str, daemons: Daemons) -> None:
    daemon = await daemons.start(env={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "300000"})
    daemon.terminate()
    assert await daemon.exit_code() == 0
