"""The WAL is cut or gone under the writer, between two transactions or in the middle of one."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daemon.persistence import files
from daemon.persistence.lock import exclusive
from daemon.refusals import OutcomeUnknown, StorageUnavailable
from tests.storage.stores import Store, running

if TYPE_CHECKING:
    from collections.abc import Callable


def wal(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def empty(file: Path) -> None:
    os.truncate(file, 0)


def halve(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def delete(file: Path) -> None:
    file.unlink()


def size(file: Path) -> int:
    return file.stat().st_size


def contents(path: Path) -> list[bytes]:
    return [file.read_bytes() for file in (path, wal(path))]


def at_the_next_commit(store: Store, act: Callable[[], None]) -> None:
    """Act when the transaction is ready and before it is written."""
    connection = store.actor._writer._connection

    def traced(statement: str) -> None:
        if statement == "COMMIT":
            connection.set_trace_callback(None)
            act()

    connection.set_trace_callback(traced)


def elsewhere(path: Path, statement: str) -> None:
    """What an operator does with another program."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(statement).fetchall()


@pytest.mark.parametrize("damage", [empty, halve])
async def test_nothing_is_accepted_into_a_wal_that_was_cut(damage: Callable[[Path], None], path: Path) -> None:
    async with running(path) as store:
        acme = await store.tenant()
        await store.publish(acme, 10)
        damage(wal(path))
        with pytest.raises(StorageUnavailable, match="cut short"):
            await store.publish(acme)


@pytest.mark.parametrize("damage", [empty, delete])
async def test_what_is_committed_to_a_wal_that_was_lost_meanwhile_is_no_202(
    damage: Callable[[Path], None], path: Path
) -> None:
    async with running(path) as store:
        acme = await store.tenant()
        await store.publish(acme, 10)
        at_the_next_commit(store, lambda: damage(wal(path)))
        with pytest.raises(OutcomeUnknown):
            await store.publish(acme)
        with pytest.raises(StorageUnavailable):
            await store.publish(acme)


@pytest.mark.parametrize("statement", ["PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA wal_checkpoint(RESTART)", "VACUUM"])
async def test_what_an_operator_does_with_another_program_is_no_cut(statement: str, path: Path) -> None:
    async with running(path) as store:
        acme = await store.tenant()
        webhook = await store.webhook(acme)
        for _ in range(2):
            elsewhere(path, "CREATE TABLE junk AS SELECT randomblob(1000000)")
            elsewhere(path, "PRAGMA wal_checkpoint(PASSIVE)")
            await store.publish(acme, 100)
            elsewhere(path, "DROP TABLE junk")
            elsewhere(path, statement)
            await store.publish(acme)
            elsewhere(path, "PRAGMA wal_checkpoint(TRUNCATE)")
            await store.publish(acme)
        assert len(await store.claim(webhook, 10)) == 10


async def test_a_checkpoint_amid_a_commit_that_makes_the_database_longer_is_no_cut(path: Path) -> None:
    async with running(path) as store:
        acme = await store.tenant()
        elsewhere(path, "CREATE TABLE junk AS SELECT randomblob(1000000)")
        elsewhere(path, "PRAGMA wal_checkpoint(PASSIVE)")
        await store.publish(acme)
        long = size(path)
        elsewhere(path, "DROP TABLE junk")
        elsewhere(path, "VACUUM")
        at_the_next_commit(store, lambda: elsewhere(path, "PRAGMA wal_checkpoint(PASSIVE)"))
        await store.publish(acme, content=b"x" * 100_000)
        assert size(path) < long
        await store.publish(acme)


@pytest.mark.parametrize("cut", [Path, wal], ids=["database", "wal"])
async def test_a_file_that_was_cut_is_left_alone_by_the_stop(cut: Callable[[Path], Path], path: Path) -> None:
    async with running(path) as store:
        acme = await store.tenant()
        await store.publish(acme, 100)
        elsewhere(path, "PRAGMA wal_checkpoint(TRUNCATE)")
        await store.publish(acme)
        halve(cut(path))
        before = contents(path)
    assert contents(path) == before


async def test_a_lock_file_that_is_gone_lets_no_second_writer_go_on_unnoticed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_LOCK_SECONDS", 0.0)
    with exclusive(path):
        async with running(path) as store:
            acme = await store.tenant()
            path.with_name(path.name + ".lock").unlink()
            with pytest.raises(StorageUnavailable, match=r"\.lock was deleted"):
                await store.publish(acme)
