"""A disk that is full, too small, or not ours: what was accepted stays safe, what cannot be is refused (CONTRACT §8.1).

The limit on file size (RLIMIT_FSIZE, changed while the daemon runs) makes writes fail for any user on any machine; a
small tmpfs shows a disk that is really full where one may be mounted.
"""

from __future__ import annotations

import contextlib
import json
import resource
import shutil
import sqlite3
import subprocess
from typing import TYPE_CHECKING

import pytest
import trio
from harness.daemon_process import run_command
from harness.events import session_event
from harness.receiver import answers_after, never_answers
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.api import Api, Json
    from harness.daemon_process import Daemon
    from harness.starting import Daemons, Receivers


LARGEST_RESERVE = 1 << 40


def allow_file_size(daemon: Daemon, size: int) -> None:
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


async def refused(caller: Api, event: Json) -> None:
    """Publish: 503, not stored, come back later."""
    answer = await caller.request("POST", "/v1/events", event)
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/storage-unavailable"), answer.text
    assert int(answer.headers["retry-after"]) > 0


async def readiness(daemon: Daemon) -> int:
    return (await daemon.caller(None).request("GET", "/readyz")).status_code


async def test_failing_writes_are_refused_and_nothing_is_lost_or_sent_twice(
    daemons: Daemons, receivers: Receivers
) -> None:
    gate = trio.Event()
    slow, fast = await receivers.start(answers_after(gate)), await receivers.start()
    daemon = await daemons.start()
    acme = await daemon.tenant()
    await acme.register(slow.url)
    await acme.register(fast.url)
    running = await acme.publish(*[session_event(f"s-{n}") for n in range(5)])
    await slow.arrived(5)

    allow_file_size(daemon, 0)
    await refused(acme, session_event("later", key="later"))
    await daemon.log.wait("storage.failing")
    assert await readiness(daemon) == 503
    assert "storage" in (await daemon.caller(None).request("GET", "/readyz")).text
    assert (await daemon.caller(None).request("GET", "/healthz")).status_code == 200
    gate.set()
    await refused(acme, session_event("later", key="later"))

    allow_file_size(daemon, resource.RLIM_INFINITY)
    await daemon.log.wait("storage.recovered")
    deliveries = await acme.finished(running)
    assert {delivery["status"] for delivery in deliveries} == {"succeeded"}
    assert await readiness(daemon) == 200
    (later,) = await acme.publish(session_event("later", key="later"))
    assert later["duplicate"] is False
    await acme.finished([later])
    for receiver in (slow, fast):
        ids = [request.header("webhook-id") for request in receiver.requests]
        assert sorted(ids) == sorted(event["id"] for event in [*running, later])
    assert len(daemon.log.of("storage.failing")) == len(daemon.log.of("storage.recovered")) == 1


async def test_a_kill_while_writes_fail_loses_nothing_that_was_accepted(daemons: Daemons, receivers: Receivers) -> None:
    receiver = await receivers.start(never_answers)
    daemon = await daemons.start({"delivery": {"max_concurrent_per_webhook": 1}})
    token = await daemon.operator().create_tenant("acme")
    acme = daemon.caller(token)
    await acme.register(receiver.url)
    accepted = await acme.publish(*[session_event(f"s-{n}") for n in range(5)])
    await receiver.arrived(1)
    allow_file_size(daemon, 0)
    await refused(acme, session_event("never"))
    daemon.kill()
    await daemon.exit_code()

    restarted = await daemons.start()
    await receiver.arrived(5)
    deliveries = await restarted.caller(token).deliveries()
    assert {delivery["event"] for delivery in deliveries} == {event["id"] for event in accepted}
    first = receiver.requests[0].header("webhook-id")
    assert {d["status"] for d in deliveries if d["event"] == first} == {"interrupted"}
    assert len({request.header("webhook-id") for request in receiver.requests}) == 5


def more_than_is_free(path: Path) -> int:
    reserve = shutil.disk_usage(path).free + (1 << 30)
    if reserve > LARGEST_RESERVE:
        pytest.skip("the disk has more room than storage.min_free_bytes can ask for")
    return reserve


async def test_below_the_reserve_nothing_is_accepted_but_what_waits_is_delivered(
    daemons: Daemons, receivers: Receivers
) -> None:
    receiver = await receivers.start(never_answers)
    daemon = await daemons.start({"delivery": {"max_concurrent_per_webhook": 1}})
    token = await daemon.operator().create_tenant("acme")
    await daemon.caller(token).register(receiver.url)
    await daemon.caller(token).publish(*[session_event(f"s-{n}") for n in range(5)])
    await receiver.arrived(1)
    daemon.kill()
    await daemon.exit_code()

    restarted = await daemons.start({"storage": {"min_free_bytes": more_than_is_free(daemon.database)}})
    await refused(restarted.caller(token), session_event("never"))
    assert await readiness(restarted) == 503
    await receiver.arrived(5)


def or_skip(why: str, *command: str | Path) -> None:
    """Skips where the command is missing, or the user or the file system does not allow it."""
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip(f"{why}: {command[0]} is not installed")
    if done.returncode:
        pytest.skip(f"{why}: {done.stderr.strip()}")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 8 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    or_skip("a full disk needs a tmpfs of its own", "mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def remount(disk: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", disk], check=True)


def fill(ballast: Path) -> None:
    """Take what is left of the disk that this file is on."""
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(b"\0" * 4096):
            pass


async def test_a_full_disk_refuses_and_recovers(daemons: Daemons, receivers: Receivers, small_disk: Path) -> None:
    receiver = await receivers.start()
    daemon = await daemons.start({"storage": {"min_free_bytes": 0}}, name="small")
    acme = await daemon.tenant()
    await acme.register(receiver.url)
    accepted = await acme.publish(session_event("before"))
    ballast = small_disk / "ballast"
    fill(ballast)

    async def full() -> bool:
        answer = await acme.request("POST", "/v1/events", {"events": [session_event(f"s-{n}") for n in range(200)]})
        if answer.status_code == 503:
            return True
        accepted.extend(answer.json()["data"])
        return False

    await eventually(full, "the disk is full")
    await daemon.log.wait("storage.failing")
    ballast.unlink()
    await daemon.log.wait("storage.recovered")
    accepted += await acme.publish(session_event("after"))
    deliveries = await acme.finished(accepted, within=20)
    assert {delivery["status"] for delivery in deliveries} == {"succeeded"}
    assert sorted(r.header("webhook-id") for r in receiver.requests) == sorted(event["id"] for event in accepted)


@contextlib.contextmanager
def immutable(*files: Path) -> Iterator[None]:
    """Nobody may write to them, not even through a descriptor that is open already."""
    try:
        or_skip("read-only files need an immutable flag", "chattr", "+i", *files)
        yield
    finally:
        if shutil.which("chattr"):
            subprocess.run(["chattr", "-i", *files], check=False, capture_output=True)


async def test_a_database_that_becomes_read_only_refuses_and_recovers(daemons: Daemons, receivers: Receivers) -> None:
    receiver = await receivers.start()
    daemon = await daemons.start()
    acme = await daemon.tenant()
    await acme.register(receiver.url)
    await acme.finished(await acme.publish(session_event("before")))
    wal = daemon.database.with_name(daemon.database.name + "-wal")
    with immutable(daemon.database, wal):
        await refused(acme, session_event("later", key="later"))
        await daemon.log.wait("storage.failing")
        assert await readiness(daemon) == 503
    await daemon.log.wait("storage.recovered")
    (later,) = await acme.publish(session_event("later", key="later"))
    assert later["duplicate"] is False
    await acme.finished([later])
    assert len(receiver.requests) == 2


async def test_a_read_only_disk_is_refused_at_the_start(daemons: Daemons, small_disk: Path) -> None:
    daemon = await daemons.start(name="small")
    token = await daemon.operator().create_tenant("acme")
    daemon.terminate()
    assert await daemon.exit_code() == 0
    remount(small_disk, "ro")
    ended = await run_command("serve", "--config", str(daemon.database.with_suffix(".toml")))
    assert ended.returncode == 1
    reason = json.loads(ended.stdout.splitlines()[-1])["reason"]
    assert "Read-only file system" in reason
    assert str(daemon.database) in reason
    assert b"Traceback" not in ended.stdout + ended.stderr
    remount(small_disk, "rw")
    restarted = await daemons.start(name="small")
    assert (await restarted.caller(token).request("GET", "/v1/webhooks")).status_code == 200


async def test_a_database_newer_than_the_code_is_refused_and_left_alone(daemons: Daemons) -> None:
    daemon = await daemons.start()
    daemon.terminate()
    await daemon.exit_code()
    database = daemons.database()
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    before = database.read_bytes()
    refusing = await daemons.launch()
    assert await refusing.exit_code() != 0
    assert "999" in refusing.log.tail()
    assert "Traceback" not in refusing.log.tail()
    assert database.read_bytes() == before


async def test_a_file_that_is_no_database_is_refused_and_left_alone(daemons: Daemons) -> None:
    database = daemons.database()
    database.parent.mkdir()
    database.write_bytes(b"someone's diary\n" * 1000)
    refusing = await daemons.launch()
    assert await refusing.exit_code() != 0
    assert str(database) in refusing.log.tail()
    assert "Traceback" not in refusing.log.tail()
    assert database.read_bytes() == b"someone's diary\n" * 1000
