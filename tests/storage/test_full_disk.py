"""A disk that is full in the middle of a COMMIT: what is answered is what a crash would then find in the file."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import trio

from daemon.persistence import checkpoints
from daemon.persistence.commands import Publish
from daemon.refusals import OutcomeUnknown, StorageUnavailable
from tests.storage.stores import PATIENCE, new_event, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from daemon.model import Tenant
    from daemon.persistence.commands import Published
    from tests.storage.stores import Store


FRAME = 4096 + 24
# The WAL's index (the -shm file) grows when this many frames are in it, after they have been fsynced.
FRAMES_OF_THE_FIRST_INDEX_PAGE = 4062


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a full disk needs a tmpfs of its own: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def reserve(path: Path, frames: int) -> None:
    """Give the WAL its room on the disk before it needs it."""
    wal = path.with_name(path.name + "-wal")
    with wal.open("ab") as file:
        file.write(bytes(frames * FRAME - wal.stat().st_size))


def leave(disk: Path, pages: int) -> Path:
    """Take all of the disk but so many pages."""
    ballast, status = disk / "ballast", os.statvfs(disk)
    ballast.write_bytes(bytes((status.f_bavail - pages) * status.f_frsize))
    return ballast


def after_a_crash(path: Path, elsewhere: Path) -> list[str]:
    """The ids of all events that a start would find if the process and its memory were gone now."""
    for suffix in ("", "-wal"):
        shutil.copy(path.with_name(path.name + suffix), elsewhere.with_name(elsewhere.name + suffix))
    with closing(sqlite3.connect(elsewhere)) as db:
        return [
            key
            for (key,) in db.execute(
                "SELECT idempotency_key FROM events WHERE idempotency_key IS NOT NULL ORDER BY seq"
            )
        ]


async def publish(store: Store, tenant: Tenant, key: str) -> Published:
    """Publish a hundred events and one with a key; returns that."""
    events = [new_event(tenant, key=key), *[new_event(tenant)] * 100]
    return (await store.actor.execute(Publish(events, batch=True), PATIENCE))[0]


async def test_a_commit_that_fails_after_its_fsync_is_answered_unknown(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "_PAGES_BETWEEN", 1_000_000)
    path = disk / "test.db"
    async with running(path) as store:
        acme = await store.tenant()
        await store.webhook(acme)
        reserve(path, FRAMES_OF_THE_FIRST_INDEX_PAGE + 1000)
        ballast = leave(disk, 0)
        keys: list[str] = []

        async def publish_until_it_fails() -> None:
            while True:
                keys.append(f"key-{len(keys)}")
                await publish(store, acme, keys[-1])

        with pytest.raises(OutcomeUnknown, match="SHM"):
            await publish_until_it_fails()
        assert after_a_crash(path, tmp_path / "copy.db") == keys
        ballast.unlink()
        while store.actor.troubles():
            await trio.lowlevel.checkpoint()
        again = await publish(store, acme, keys[-1])
        assert not again.duplicate


async def test_a_commit_for_which_there_is_no_room_is_answered_not_stored(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "_PAGES_BETWEEN", 1_000_000)
    path = disk / "test.db"
    async with running(path) as store:
        acme = await store.tenant()
        await store.webhook(acme)
        await store.publish(acme)
        for pages in range(3):
            ballast = leave(disk, pages)
            with pytest.raises(StorageUnavailable, match="FULL"):
                await store.publish(acme, key=f"later-{pages}")
            assert after_a_crash(path, tmp_path / f"copy-{pages}.db") == []
            ballast.unlink()
            while store.actor.troubles():
                await trio.lowlevel.checkpoint()
