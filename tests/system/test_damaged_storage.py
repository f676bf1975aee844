"""Files deleted, cut, overwritten, locked: no 202 for what is not on disk, and clear words (CONTRACT §8.1)."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import asynccontextmanager, closing, contextmanager
from typing import TYPE_CHECKING

import pytest
import trio
from harness.books import rows
from harness.daemon_process import run_command
from harness.events import session_event
from harness.receiver import answers_after

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator
    from pathlib import Path

    from harness.api import Api
    from harness.daemon_process import Daemon
    from harness.starting import Daemons, Receivers

PAGE = 4096
LOCK_SECONDS = 5
SEVERAL_RETRIES = 0.8


def wal(database: Path) -> Path:
    return database.with_name(database.name + "-wal")


def checkpoint(database: Path) -> None:
    """Have everything in the database itself, and nothing in its WAL."""
    with closing(sqlite3.connect(database)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


@contextmanager
def kept_in_the_wal(database: Path) -> Generator[None]:
    """No checkpoint copies what is committed after the snapshot of one that reads, and the WAL does not start over."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT 1 FROM meta").fetchone()
        yield


async def filled(daemons: Daemons, receivers: Receivers) -> tuple[Daemon, Api, str]:
    """A daemon that has delivered some events, a caller of its tenant, and the token."""
    receiver = await receivers.start()
    daemon = await daemons.start()
    token = await daemon.operator().create_tenant("acme")
    acme = daemon.caller(token)
    await acme.register(receiver.url)
    await acme.finished(await acme.publish(*[session_event(f"s-{n}", key=f"s-{n}") for n in range(100)]))
    return daemon, acme, token


async def refused(acme: Api, name: str) -> None:
    answer = await acme.request("POST", "/v1/events", session_event(name, key=name))
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/storage-unavailable"), answer.text


async def refuses_to_start(daemons: Daemons, *named: str) -> None:
    """It ends with a code other than 0, words that name what is wrong, no traceback, and the file as it was."""
    before = files(daemons.database().parent)
    refusing = await daemons.launch()
    assert await refusing.exit_code() in (1, 2), refusing.log.tail()
    reason = refusing.log.lines[-1]["reason"]
    assert str(daemons.database()) in reason
    for word in named:
        assert word in reason
    assert "Traceback" not in refusing.log.tail()
    assert files(daemons.database().parent) == before


def files(folder: Path) -> dict[str, bytes]:
    """The database and what there is of its WAL."""
    kept = (path for path in folder.iterdir() if path.suffix in (".db", ".db-wal"))
    return {path.name: path.read_bytes() for path in kept if path.stat().st_size}


async def test_a_deleted_wal_costs_no_event_that_got_a_202(daemons: Daemons, receivers: Receivers) -> None:
    daemon, acme, token = await filled(daemons, receivers)
    wal(daemon.database).unlink()
    await refused(acme, "later")
    said = await daemon.log.wait("storage.failing")
    assert str(wal(daemon.database)) in said["reason"]
    assert (await daemon.caller(None).request("GET", "/healthz")).status_code == 200
    daemon.terminate()
    await daemon.exit_code()

    restarted = await daemons.start()
    assert [row.status for row in rows(daemon.database)] == ["succeeded"] * 100
    (later,) = await restarted.caller(token).publish(session_event("later", key="later"))
    assert later["duplicate"] is False


def delete(database: Path) -> None:
    database.unlink()


def replace(database: Path) -> None:
    copy = database.with_name("copy")
    shutil.copy(database, copy)
    copy.replace(database)


def empty(database: Path) -> None:
    os.truncate(database, 0)


def halve(database: Path) -> None:
    os.truncate(database, database.stat().st_size // 2)


def overwrite(database: Path, table: str | None = None) -> None:
    """All but the first page, or those of a table and its indices alone."""
    if table is None:
        pages = set(range(2, database.stat().st_size // PAGE + 1))
    else:
        with closing(sqlite3.connect(database)) as db:
            found = db.execute("SELECT rootpage FROM sqlite_master WHERE tbl_name = ? AND rootpage", (table,))
            pages = {page for (page,) in found}
    with database.open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * PAGE)
            file.write(os.urandom(PAGE))


@pytest.mark.parametrize("damage", [delete, replace, empty, halve])
async def test_a_database_damaged_in_use_accepts_nothing_more(
    damage: Callable[[Path], None], daemons: Daemons, receivers: Receivers
) -> None:
    daemon, acme, _ = await filled(daemons, receivers)
    checkpoint(daemon.database)
    await acme.finished(await acme.publish(session_event("before")))
    damage(daemon.database)
    await refused(acme, "later")
    await refused(acme, "later")
    await daemon.log.wait("storage.failing")
    assert (await daemon.caller(None).request("GET", "/readyz")).status_code == 503
    assert (await daemon.caller(None).request("GET", "/healthz")).status_code == 200
    daemon.kill()
    await daemon.exit_code()
    assert len(daemon.log.of("storage.failing")) == 1
    assert "Traceback" not in daemon.log.tail()


@pytest.mark.parametrize("table", ["deliveries", "events"])
async def test_a_database_found_damaged_accepts_nothing_more(
    table: str, daemons: Daemons, receivers: Receivers
) -> None:
    daemon, acme, _ = await filled(daemons, receivers)
    checkpoint(daemon.database)
    overwrite(daemon.database, table)
    await refused(acme, "later")
    said = await daemon.log.wait("storage.failing")
    assert "malformed" in said["reason"]
    assert "backup" in said["reason"]
    operator, began = daemon.operator(), trio.current_time()
    while trio.current_time() < began + SEVERAL_RETRIES:
        # The tenants' own pages are sound.
        assert (await operator.request("POST", "/v1/tenants", {"id": "globex"})).status_code == 503
        assert (await operator.request("GET", "/readyz")).status_code == 503
    assert (await operator.request("GET", "/healthz")).status_code == 200
    listing = await acme.request("GET", "/v1/deliveries")
    assert (listing.status_code, listing.json()["type"]) == (503, "/problems/storage-unavailable")
    daemon.kill()
    await daemon.exit_code()
    assert not daemon.log.of("storage.recovered")
    assert "Traceback" not in daemon.log.tail()


async def test_a_stop_does_not_wait_for_outcomes_that_a_damaged_database_can_never_take(
    daemons: Daemons, receivers: Receivers
) -> None:
    gate = trio.Event()
    slow = await receivers.start(answers_after(gate))
    daemon = await daemons.start({"delivery": {"drain_timeout": 60}})
    acme = await daemon.tenant()
    await acme.register(slow.url)
    await acme.publish(session_event("under way"))
    await slow.arrived()
    checkpoint(daemon.database)
    overwrite(daemon.database, "deliveries")
    await refused(acme, "later")
    gate.set()
    daemon.terminate()
    assert await daemon.exit_code(within=5) == 1
    assert daemon.log.lines[-1]["clean"] is False
    assert "Traceback" not in daemon.log.tail()


@pytest.mark.parametrize("damage", [delete, replace, empty, halve])
async def test_nothing_is_accepted_on_a_wal_whose_database_is_gone(
    damage: Callable[[Path], None], daemons: Daemons, receivers: Receivers
) -> None:
    daemon, acme, _ = await filled(daemons, receivers)
    damage(daemon.database)
    await refused(acme, "later")
    assert str(daemon.database) in (await daemon.log.wait("storage.failing"))["reason"]
    daemon.kill()
    await daemon.exit_code()
    assert wal(daemon.database).stat().st_size > 0


@pytest.mark.parametrize(
    ("damage", "named"), [(halve, "malformed"), (overwrite, "malformed"), (empty, "empty"), (delete, "missing")]
)
async def test_a_damaged_database_is_refused_and_left_alone(
    damage: Callable[[Path], None], named: str, daemons: Daemons, receivers: Receivers
) -> None:
    daemon, _, _ = await filled(daemons, receivers)
    checkpoint(daemon.database)
    daemon.kill()
    await daemon.exit_code()
    damage(daemon.database)
    await refuses_to_start(daemons, named)


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
async def test_a_database_cut_in_use_is_refused_at_the_start_whatever_is_in_its_wal(
    ending: signal.Signals, daemons: Daemons, receivers: Receivers
) -> None:
    daemon, acme, _ = await filled(daemons, receivers)
    checkpoint(daemon.database)
    await acme.finished(await acme.publish(session_event("after")))
    halve(daemon.database)
    daemon.process.send_signal(ending)
    await daemon.exit_code()
    assert wal(daemon.database).stat().st_size > 0
    await refuses_to_start(daemons, "malformed", "backup")


async def test_a_database_that_a_killed_checkpoint_left_short_is_whole_with_its_wal(
    daemons: Daemons, receivers: Receivers
) -> None:
    daemon, _, token = await filled(daemons, receivers)
    daemon.kill()
    await daemon.exit_code()
    copy = daemon.database.with_name("copy")
    shutil.copy(daemon.database, copy)
    shutil.copy(wal(daemon.database), wal(copy))
    checkpoint(copy)
    # Pages are written back in their order: the first, which says how many there are, and then the others.
    with daemon.database.open("r+b") as file:
        file.write(copy.read_bytes()[: 3 * PAGE])
    restarted = await daemons.start()
    assert len(await restarted.caller(token).deliveries()) == 100


async def test_a_wal_cut_while_no_daemon_ran_is_read_as_far_as_it_is_whole(
    daemons: Daemons, receivers: Receivers
) -> None:
    daemon, acme, token = await filled(daemons, receivers)
    checkpoint(daemon.database)
    with kept_in_the_wal(daemon.database):
        for number in range(8):
            await acme.finished(await acme.publish(session_event(f"later-{number}")))
        daemon.kill()
        await daemon.exit_code()
    halve(wal(daemon.database))
    restarted = await daemons.start()
    assert 100 < len(await restarted.caller(token).deliveries()) < 108
    with closing(sqlite3.connect(daemon.database)) as db:
        assert db.execute("PRAGMA quick_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("damage", [empty, halve])
async def test_nothing_is_accepted_into_a_wal_that_was_cut(
    damage: Callable[[Path], None], daemons: Daemons, receivers: Receivers
) -> None:
    daemon, acme, _ = await filled(daemons, receivers)
    checkpoint(daemon.database)
    with kept_in_the_wal(daemon.database):
        await acme.finished(await acme.publish(session_event("before")))
        damage(wal(daemon.database))
        await refused(acme, "later")
    assert str(wal(daemon.database)) in (await daemon.log.wait("storage.failing"))["reason"]


async def test_a_backup_beside_the_wal_of_what_it_replaces_is_refused_until_that_is_moved_away(
    daemons: Daemons, receivers: Receivers, tmp_path: Path
) -> None:
    daemon, acme, token = await filled(daemons, receivers)
    copy = tmp_path / "copy.db"
    made = await run_command("backup", str(copy), "--config", str(daemon.database.with_suffix(".toml")))
    assert made.returncode == 0, made.stderr.decode()
    await acme.finished(await acme.publish(session_event("after the backup")))
    daemon.kill()
    await daemon.exit_code()
    shutil.copy(copy, daemon.database)
    await refuses_to_start(daemons, "backup", wal(daemon.database).name)

    wal(daemon.database).unlink()
    restored = await daemons.start()
    assert len(await restored.caller(token).deliveries()) == 100


# A process of its own takes the write lock, says so, and holds it for some seconds or until its standard input ends.
LOCKER = """
import select, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN IMMEDIATE")
print("locked", end="", flush=True)
select.select([sys.stdin], [], [], float(sys.argv[2]))
"""


@asynccontextmanager
async def locked(database: Path, seconds: float) -> AsyncIterator[trio.Process]:
    process = await trio.lowlevel.open_process(
        [sys.executable, "-c", LOCKER, str(database), str(seconds)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    async with process.stdin, process.stdout:
        try:
            assert await process.stdout.receive_some(10) == b"locked"
            yield process
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()


async def test_a_database_locked_by_another_process_for_5_s_refuses_and_then_goes_on(
    daemons: Daemons, receivers: Receivers
) -> None:
    daemon, acme, _ = await filled(daemons, receivers)
    async with locked(daemon.database, LOCK_SECONDS) as locker:
        await refused(acme, "later")
        said = await daemon.log.wait("storage.failing")
        assert "locked" in said["reason"]
        assert len((await acme.ask("GET", "/v1/deliveries", limit=5))["data"]) == 5
        with trio.fail_after(2 * LOCK_SECONDS):
            await locker.wait()
    await daemon.log.wait("storage.recovered")
    (later,) = await acme.publish(session_event("later", key="later"))
    assert later["duplicate"] is False
    (delivery,) = await acme.finished([later])
    assert delivery["status"] == "succeeded"
    assert len(daemon.log.of("storage.failing")) == len(daemon.log.of("storage.recovered")) == 1


async def test_a_database_locked_by_another_process_is_refused_at_the_start(daemons: Daemons) -> None:
    daemon = await daemons.start()
    daemon.kill()
    await daemon.exit_code()
    async with locked(daemon.database, 60):
        await refuses_to_start(daemons, "locked")
    await daemons.start()
