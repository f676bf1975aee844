"""Keeping what is stored: backups made and restored under load, upgrades, downgrades, a clock that jumps."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
import trio
from harness.configuration import toml
from harness.daemon_process import run_command
from harness.events import session_event
from harness.faults import wall_clock
from harness.foreign import Ledger, counting_receiver
from harness.ownership import BOUND_BY_MODES, NOBODY, needs_root_that_can_be_bound
from harness.waiting import eventually

from daemon.persistence.schema import MIGRATIONS
from tests.storage.upgrades import FIXTURES, restore

if TYPE_CHECKING:
    from pathlib import Path

    from harness.api import Api
    from harness.daemon_process import Daemon
    from harness.starting import Daemons

DAY = 86_400


def rows(database: Path, query: str) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as db:
        return db.execute(query).fetchall()


async def publish_on(acme: Api, promised: list[str]) -> None:
    while True:
        batch = [session_event(f"s-{len(promised) + n}") for n in range(20)]
        promised += [event["id"] for event in await acme.publish(*batch)]


async def more_than(promised: list[str], number: int) -> None:
    async def enough() -> bool:
        return len(promised) > number

    await eventually(enough, f"more than {number} events published")


async def test_a_backup_made_under_load_is_sound_and_restored_it_loses_nothing_that_was_in_it_and_sends_nothing_twice(
    daemons: Daemons, tmp_path: Path
) -> None:
    ledger, copy, promised = Ledger(tmp_path / "ledger"), tmp_path / "copy.db", list[str]()
    async with counting_receiver(ledger) as port:
        daemon = await daemons.start()
        config = str(daemon.database.with_suffix(".toml"))
        token = await daemon.operator().create_tenant("acme")
        acme = daemon.caller(token)
        await acme.register(f"http://127.0.0.1:{port}/hook")
        async with trio.open_nursery() as load:
            load.start_soon(publish_on, acme, promised)
            await more_than(promised, 200)
            before = list(promised)
            made = await run_command("backup", str(copy), "--config", config)
            assert made.returncode == 0, made.stderr
            # The database itself, while it is written to, and the copy.
            for of in (["--config", config], [str(copy)]):
                checked = await run_command("check", *of)
                assert checked.returncode == 0, checked.stderr
                assert b"sound" in checked.stdout
            await more_than(promised, len(before) + 100)
            load.cancel_scope.cancel()
        daemon.kill()
        await daemon.exit_code()

        for suffix in ("", "-wal", "-shm"):
            file = daemon.database.with_name(daemon.database.name + suffix)
            if file.exists():
                file.rename(file.with_name(f"old-{file.name}"))
        shutil.copy(copy, daemon.database)
        waiting = {id for (id,) in rows(copy, "SELECT id FROM deliveries WHERE finished IS NULL")}
        arrived = ledger.total()

        restored = await daemons.start()
        kept = {id for (id,) in rows(restored.database, "SELECT id FROM events")}
        assert set(before) <= kept <= set(promised)
        told = restored.log.of("delivery.interrupted")
        assert sum(line.get("count", 1) for line in told) == len(waiting)
        (event,) = await restored.caller(token).publish(session_event("after"))
        await restored.caller(token).finished([event])
        assert ledger.total() == arrived + 1
        assert max(ledger.arrivals().values()) == 1
        interrupted = {
            id for (id,) in rows(restored.database, "SELECT id FROM deliveries WHERE status = 'interrupted'")
        }
        assert interrupted == waiting
        checked = await run_command("check", "--config", config)
        assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("old", sorted(FIXTURES))
async def test_a_daemon_on_a_database_of_an_earlier_version_attempts_what_waited_once_and_nothing_else(
    old: int, daemons: Daemons, tmp_path: Path
) -> None:
    ledger, database = Ledger(tmp_path / "ledger"), daemons.database()
    database.parent.mkdir()
    restore(old, database)
    async with counting_receiver(ledger) as port:
        with closing(sqlite3.connect(database, isolation_level=None)) as db:
            db.execute("UPDATE webhooks SET url = ? || id", (f"http://127.0.0.1:{port}/",))
        sending = rows(database, "SELECT id FROM deliveries WHERE status = 'sending'")
        before = rows(database, "SELECT id FROM deliveries WHERE finished IS NOT NULL OR status = 'sending'")
        daemon = await daemons.start()
        operator = daemon.operator()
        await operator.settled(within=20, tenant="acme")
        interrupted = daemon.log.of("delivery.interrupted")
        assert [(line["delivery"],) for line in interrupted] == sending
        attempted = rows(
            database,
            """SELECT w.id, e.id FROM deliveries d JOIN webhooks w ON w.seq = d.webhook JOIN events e ON e.seq = d.event
               WHERE d.status = 'succeeded' AND d.url LIKE '%' || w.id""",
        )
        assert len(attempted) > 5
        assert ledger.arrivals() == Counter((f"/{webhook}", event) for webhook, event in attempted)
        assert {id for (id,) in before} <= {id for (id,) in rows(database, "SELECT id FROM deliveries")}
        config = str(database.with_suffix(".toml"))
        assert (await run_command("check", "--config", config)).returncode == 0


async def test_a_database_of_a_newer_version_is_refused_with_what_to_do_and_left_as_it_is(daemons: Daemons) -> None:
    daemon = await daemons.start()
    await daemon.tenant()
    daemon.terminate()
    await daemon.exit_code()
    with closing(sqlite3.connect(daemon.database)) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    before = daemon.database.read_bytes()
    refused = await daemons.launch()
    assert await refused.exit_code() == 2
    (line,) = refused.log.of("daemon.refused")
    assert f"schema version {len(MIGRATIONS) + 1}" in line["reason"]
    assert "restore a backup" in line["reason"]
    checked = await run_command("check", "--config", str(daemon.database.with_suffix(".toml")))
    assert checked.returncode == 2
    assert b"newer daemon" in checked.stderr
    assert daemon.database.read_bytes() == before


async def test_a_damaged_database_fails_the_check_with_what_to_do(tmp_path: Path) -> None:
    rubbish = tmp_path / "rubbish.db"
    rubbish.write_bytes(b"This is a letter, not a database. " * 500)
    checked = await run_command("check", str(rubbish))
    assert checked.returncode == 1
    assert b"What to do: stop the daemon" in checked.stderr
    missing = await run_command("check", str(tmp_path / "missing.db"))
    assert missing.returncode == 2


@needs_root_that_can_be_bound
@pytest.mark.parametrize("folder_mode", [0o700, 0o755])
async def test_a_database_that_may_not_be_read_is_named_in_one_line_with_why(tmp_path: Path, folder_mode: int) -> None:
    (folder := tmp_path / "of-another").mkdir()
    database, config = folder / "webhooks.db", tmp_path / "webhooks.toml"
    database.write_bytes(b"")
    config.write_text(toml({"storage": {"path": str(database)}}))
    for path, mode in ((database, 0o600), (folder, folder_mode)):
        path.chmod(mode)
        os.chown(path, NOBODY, NOBODY)
    for arguments in (
        ["check", str(database)],
        ["check", "--config", str(config)],
        ["backup", "--config", str(config), str(tmp_path / "copy.db")],
    ):
        done = await run_command(*arguments, command=BOUND_BY_MODES)
        assert done.returncode == 1
        (line,) = done.stderr.decode().splitlines()
        assert line.startswith(f"Error: {database} cannot be read: Permission denied. "), line
    assert sorted(os.listdir(tmp_path)) == ["of-another", "webhooks.toml"]


async def retention(daemon: Daemon) -> dict[str, Any]:
    told: dict[str, dict[str, Any]] = await daemon.operator().ask("GET", "/v1/status")
    return told["retention"]


async def test_old_events_go_and_are_counted_and_told_unless_the_clock_jumps(daemons: Daemons, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    async with counting_receiver(ledger) as port:
        with wall_clock(tmp_path / "clock") as clock:
            daemon = await daemons.start({"storage": {"retention_days": 1}}, command=clock.command)
            acme = await daemon.tenant()
            await acme.register(f"http://127.0.0.1:{port}/hook")
            (event,) = await acme.publish(session_event("s-1"))
            await acme.finished([event])
            clock.step(40 * DAY)
            paused = await daemon.log.wait("retention.paused")
            assert abs(paused["jump_seconds"] - 40 * DAY) < 60
            assert (await retention(daemon))["paused"] == paused["reason"]
            clock.step(0)
            await daemon.log.wait("retention.resumed")
            assert (await retention(daemon))["paused"] is None
            assert (await acme.ask("GET", f"/v1/events/{event['id']}"))["id"] == event["id"]
            daemon.terminate()
            await daemon.exit_code()

        # A retention of a few seconds, as a configuration that keeps nothing has it.
        daemon = await daemons.start({"storage": {"retention_days": 1 / DAY}})
        told = await daemon.log.wait("retention.deleted")
        assert (told["events"], told["deliveries"]) == (1, 1)
        metrics = (await daemon.operator().request("GET", "/metrics")).text
        assert "tenant_webhooks_events_deleted_total 1.0" in metrics
        assert rows(daemon.database, "SELECT id FROM events") == []
