"""A disk that does not answer a read: neither the reader who gives up nor a stop waits for it."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from daemon.persistence import queries
from tests.storage.stores import running

if TYPE_CHECKING:
    import sqlite3

HUNG = """
import sys, threading
from pathlib import Path
import trio
from tests.storage.stores import running

async def main():
    async with running(Path(sys.argv[1])) as store, trio.open_nursery() as nursery:
        begun = trio.Event()

        def hang(db):
            trio.from_thread.run_sync(begun.set)
            threading.Event().wait()

        nursery.start_soon(store.actor.read, hang)
        await begun.wait()
        nursery.cancel_scope.cancel()

trio.run(main)
print("ended")
"""


async def test_a_read_that_hangs_holds_neither_its_caller_nor_the_stores_end(path: Path) -> None:
    begun, answer = trio.Event(), threading.Event()

    def hang(db: sqlite3.Connection) -> None:
        trio.from_thread.run_sync(begun.set)
        answer.wait()

    try:
        with trio.fail_after(3):
            async with running(path) as store, trio.open_nursery() as nursery:
                nursery.start_soon(store.actor.read, hang)
                await begun.wait()
                nursery.cancel_scope.cancel()
            assert store.ended.is_set()
    finally:
        answer.set()
    async with running(path) as store:
        assert await store.actor.read(queries.tenants, None, None) == []


def test_a_read_that_hangs_does_not_hold_the_process(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HUNG, path], cwd=Path(__file__).parents[2], capture_output=True, timeout=20, check=False
    )
    assert (done.returncode, done.stdout) == (0, b"ended\n"), done.stderr.decode()
