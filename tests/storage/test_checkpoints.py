"""The WAL stays short whatever is written and read: nobody's disk fills with it."""

from __future__ import annotations

import threading
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from daemon.operations.metrics import Metrics
from daemon.persistence import backlog, checkpoints, registry
from daemon.persistence.database import open_reader, open_writer
from daemon.persistence.effects import Effects
from daemon.persistence.housekeeping import Housekeeping
from daemon.persistence.readers import Readers
from daemon.settings import StorageSettings

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from tests.storage.stores import Store

BETWEEN = 100
LONG = 400


@pytest.fixture(autouse=True)
def _sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "_PAGES_BETWEEN", BETWEEN)
    monkeypatch.setattr(checkpoints, "_LONG", LONG)


@contextmanager
def overlapping_readers(path: Path) -> Generator[None]:
    """One snapshot or another is held at every moment; none for longer than some hundredths of a second."""
    done = threading.Event()

    def read() -> None:
        newer, older = open_reader(path), open_reader(path)
        for reader in (newer, older):
            reader.execute("BEGIN")
        while not done.wait(0.01):
            newer.execute("SELECT count(*) FROM tenants").fetchone()
            newer, older = older, newer
            newer.execute("COMMIT")
            newer.execute("BEGIN")
        newer.close()
        older.close()

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def pages(path: Path) -> int:
    return path.with_name(path.name + "-wal").stat().st_size // checkpoints.PAGE_BYTES


def test_a_checkpoint_is_made_of_many_pages_not_after_each_commit(path: Path) -> None:
    due = checkpoints.Checkpoints()
    with closing(open_writer(path)) as writer:
        for _ in range(2):
            due.wrote(0, BETWEEN // 2 * checkpoints.PAGE_BYTES)
            assert not due.due
            due.wrote(0, BETWEEN // 2 * checkpoints.PAGE_BYTES)
            assert due.due
            due.run(writer)


def test_what_else_is_due_has_its_turn_though_every_commit_is_worth_a_checkpoint(path: Path) -> None:
    statements: list[str] = []
    copied: list[bool] = []
    with closing(open_writer(path)) as writer:
        house = Housekeeping(writer, Readers(path), StorageSettings(), Metrics())
        writer.set_trace_callback(statements.append)
        for _ in range(3):
            house.committed(2 * BETWEEN, Effects(backlog.load(writer)), registry.load(writer))
            del statements[:]
            step = house.next(time.monotonic())
            assert step is not None
            step()()
            copied.append(any("wal_checkpoint" in statement for statement in statements))
    assert copied == [True, False, True]


async def test_large_payloads_and_no_deliveries_are_written_back(store: Store, path: Path) -> None:
    acme = await store.tenant()
    for _ in range(100):
        await store.publish(acme, 2, content=b"x" * 40 * checkpoints.PAGE_BYTES)
    assert pages(path) < 25 * BETWEEN


async def test_readers_that_overlap_without_end_do_not_keep_the_wal_growing(store: Store, path: Path) -> None:
    acme = await store.tenant()
    with overlapping_readers(path):
        for _ in range(100):
            await store.publish(acme, content=b"x" * 20 * checkpoints.PAGE_BYTES)
    assert pages(path) < 3 * LONG


async def test_a_snapshot_held_for_long_is_waited_for_seldom(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = await store.tenant()
    store.actor._writer._connection.execute("PRAGMA busy_timeout = 1")
    snapshot = open_reader(path)
    snapshot.execute("BEGIN")
    snapshot.execute("SELECT 1 FROM meta").fetchone()
    restarts: list[str] = []
    store.actor._writer._connection.set_trace_callback(
        lambda statement: restarts.append(statement) if "RESTART" in statement else None
    )
    for _ in range(150):
        await store.publish(acme, content=b"x" * 20 * checkpoints.PAGE_BYTES)
    length = pages(path)
    snapshot.close()
    assert length > 6 * LONG
    assert 1 <= len(restarts) <= 4
