from __future__ import annotations

import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from daemon.instants import rfc3339
from daemon.persistence import queries, searching
from daemon.persistence.backup import BackupError, backup
from daemon.persistence.commands import DeleteWebhook
from daemon.persistence.database import UnusableDatabase, open_writer
from daemon.persistence.lock import DatabaseLocked, exclusive
from daemon.persistence.recovery import Recovered, recover
from daemon.persistence.schema import MIGRATIONS, NewerDatabase, version
from daemon.persistence.searching import DeliveryFilter
from tests.storage.stores import PATIENCE, running

if TYPE_CHECKING:
    from pathlib import Path

# Later than anything that the stores here have done.
NOW = 4_000_000_000_000


def recovered(path: Path, now: int = NOW) -> Recovered:
    connection = open_writer(path)
    try:
        return recover(connection, now)
    finally:
        connection.close()


async def test_after_a_crash_sending_becomes_interrupted_and_pending_stays(path: Path) -> None:
    async with running(path) as store:
        acme = await store.tenant()
        webhook = await store.webhook(acme)
        await store.publish(acme, 3)
        (one,) = await store.claim(webhook, 1)
    done = recovered(path)
    assert [(item.tenant, item.webhook, item.id) for item in done.interrupted] == [("acme", webhook.id, one.id)]
    assert done.copied == 0
    assert recovered(path) == Recovered([], 0)
    async with running(path) as store:
        found = await store.actor.read(queries.delivery, one.id, acme.seq)
        assert found is not None
        assert (found.status, found.finished, found.error) == ("interrupted", NOW, None)
        assert store.actor.waits.total() == 2
        after = await store.actor.read(queries.webhook, webhook.id, acme.seq)
        assert after is not None
        assert after.last_delivery is not None
        assert (after.last_delivery.id, after.last_delivery.status) == (one.id, "interrupted")
        assert after.delivery_attempts == 0


async def test_what_a_crash_cut_off_has_not_ended_before_it_began_though_the_clock_was_set_back(path: Path) -> None:
    async with running(path) as store:
        acme = await store.tenant()
        webhook = await store.webhook(acme)
        await store.publish(acme)
        (one,) = await store.claim(webhook)
    recovered(path, now=1000)
    async with running(path) as store:
        found = await store.actor.read(queries.delivery, one.id, acme.seq)
        assert found is not None
        assert found.started is not None
        assert found.finished == found.started > 1000
        after = await store.actor.read(queries.webhook, webhook.id, acme.seq)
        assert after is not None
        assert after.last_delivery is not None
        assert after.last_delivery.at == rfc3339(found.finished)


async def test_a_daemon_on_a_backup_sends_nothing_by_itself_and_says_how_many(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    async with running(path) as store:
        acme = await store.tenant()
        webhook, gone = await store.webhook(acme), await store.webhook(acme)
        await store.publish(acme, 2)
        await store.claim(webhook, 1)
        await store.actor.execute(DeleteWebhook(acme.seq, gone.id), PATIENCE)
        backup(path, copy)
        await store.publish(acme)
    assert recovered(copy) == Recovered([], 2)
    assert recovered(copy) == Recovered([], 0)
    async with running(copy) as store:
        assert store.actor.work() == {}
        chosen = DeliveryFilter(webhook=gone.seq)
        assert {d.status for d in (await store.actor.read(searching.deliveries, chosen, 1000, None)).rows} == {
            "cancelled"
        }
        await store.publish(acme)
        assert len(await store.claim(webhook)) == 1
    assert recovered(path).copied == 0


def test_a_backup_overwrites_nothing_and_is_readable_by_its_owner_only(path: Path, tmp_path: Path) -> None:
    open_writer(path).close()
    copy = tmp_path / "copy.db"
    backup(path, copy)
    assert copy.stat().st_mode & 0o777 == 0o600
    before = copy.read_bytes()
    with pytest.raises(BackupError, match="exists"):
        backup(path, copy)
    assert copy.read_bytes() == before


def test_a_backup_of_nothing_or_of_rubbish_leaves_no_file(tmp_path: Path) -> None:
    rubbish = tmp_path / "rubbish.db"
    rubbish.write_bytes(b"no database" * 1000)
    for source in (tmp_path / "missing.db", rubbish):
        with pytest.raises(BackupError):
            backup(source, tmp_path / "copy.db")
        assert not (tmp_path / "copy.db").exists()


def test_a_new_database_is_private_to_its_owner_and_opens_again_unchanged(path: Path) -> None:
    open_writer(path).close()
    assert path.stat().st_mode & 0o777 == 0o600
    connection = open_writer(path)
    assert version(connection) == len(MIGRATIONS)
    assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    connection.close()


def test_a_database_newer_than_the_code_is_refused_and_left_as_it_is(path: Path) -> None:
    connection = open_writer(path)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(NewerDatabase, match="newer daemon"):
        open_writer(path)
    plain = sqlite3.connect(path)
    assert version(plain) == len(MIGRATIONS) + 1
    plain.close()


def test_a_file_that_is_no_database_is_refused_with_what_to_do(path: Path) -> None:
    path.write_bytes(b"This is a letter, not a database. " * 100)
    with pytest.raises(UnusableDatabase, match=r"storage\.path"):
        open_writer(path)


def test_a_missing_folder_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UnusableDatabase, match=r"storage\.path"):
        open_writer(tmp_path / "missing" / "test.db")


def test_a_link_to_the_database_is_the_same_database(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(path)
    with exclusive(path), pytest.raises(DatabaseLocked), exclusive(link):
        pass


def test_a_lock_that_cannot_be_made_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UnusableDatabase, match=r"storage\.path"), exclusive(tmp_path / "missing" / "test.db"):
        pass


def test_a_second_process_cannot_take_the_lock_until_the_first_is_gone(path: Path) -> None:
    code = (
        "import sys, pathlib; from daemon.persistence.lock import *\n"
        "try:\n  with exclusive(pathlib.Path(sys.argv[1])): print('taken')\nexcept DatabaseLocked: print('locked')"
    )

    def second() -> str:
        return subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
        ).stdout

    with exclusive(path):
        assert second() == "locked\n"
        with pytest.raises(DatabaseLocked, match=r"storage\.path"), exclusive(path):
            pass
    assert second() == "taken\n"
