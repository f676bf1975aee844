"""What operators and tenants do while deliveries run: no ledger disagrees afterwards (CONTRACT §4, §8.1-2)."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import httpx
import pytest
import trio
from harness.books import rows
from harness.daemon_process import Daemon, run_command
from harness.torture import Torture

if TYPE_CHECKING:
    from pathlib import Path

    from harness.api import Api

SEED = int(os.environ.get("CRASH_SEED") or random.randrange(1 << 32))
LONGEST_LOAD = 3.0


async def flip(acme: Api, choice: random.Random, database: Path, cancelled: set[str]) -> None:
    """Deactivate and revive webhooks at random until the daemon stops. What was left pending by a deactivation that
    has been answered is `cancelled`, whatever its row says by then."""
    ids = [webhook["id"] for webhook in (await acme.ask("GET", "/v1/webhooks"))["data"]]
    try:
        while True:
            path = f"/v1/webhooks/{choice.choice(ids)}"
            off = ("DELETE", path) if choice.random() < 0.5 else ("PATCH", path, {"active": False})
            for request in (off, ("PATCH", path, {"active": True})):
                answer = await acme.request(*request)
                if answer.status_code == 503:
                    return
                assert answer.is_success, answer.text
                if request is off:
                    cancelled |= pending(database, path.rpartition("/")[2])
    except httpx.TransportError:
        return


def pending(database: Path, webhook: str) -> set[str]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as db:
        found = db.execute(
            """SELECT id FROM deliveries d WHERE finished IS NULL AND status = 'pending'
               AND webhook = (SELECT seq FROM webhooks WHERE id = ?)""",
            (webhook,),
        )
        return {id for (id,) in found}


def restore(copy: Path, database: Path) -> None:
    """Put a backup in a database's place as an operator should: without what belonged to the old one."""
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink()
    shutil.copy(copy, database)


# httpx does not finish the generator of a request's body when the connection breaks under it.
@pytest.mark.filterwarnings("ignore:Async generator 'httpx:ResourceWarning")
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL], ids=["drained", "killed"])
async def test_what_a_deactivation_cancels_is_never_sent_and_the_rest_once(
    ending: signal.Signals, tmp_path: Path
) -> None:
    cancelled: set[str] = set()
    async with Torture.start(tmp_path, SEED) as torture:
        acme = torture.daemon.caller(torture.token)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(flip, acme, torture.choice, torture.database, cancelled)
            await torture.load(shortest=1, longest=LONGEST_LOAD)
            await torture.end(ending)
        await torture.start_again(ending)
        acme = torture.daemon.caller(torture.token)
        for webhook in (await acme.ask("GET", "/v1/webhooks"))["data"]:
            await acme.ask("PATCH", f"/v1/webhooks/{webhook['id']}", {"active": True})
        records = await torture.settle()
        reckoning = torture.reckon(records, frozenset({"cancelled"}))
        print(f"CRASH_SEED={SEED}\n{reckoning.table()}")
        assert cancelled
        assert {row.status for row in records if row.id in cancelled} == {"cancelled"}
        assert reckoning.recorded["succeeded"] > 0


async def test_a_second_daemon_started_under_load_ends_and_disturbs_nothing(tmp_path: Path) -> None:
    async with Torture.start(tmp_path, SEED) as torture, trio.open_nursery() as nursery:
        for _ in range(2):
            await torture.load()
            second = await Daemon.launch(nursery, torture.database)
            assert await second.exit_code() == 2
            assert str(torture.database) in second.log.tail()
        reckoning = torture.reckon(await torture.settle())
        assert set(reckoning.recorded) == {"succeeded", "failed"}


async def test_a_backup_made_under_load_and_restored_sends_nothing_by_itself(tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    async with Torture.start(tmp_path, SEED) as torture:
        await torture.load(shortest=0.5)
        made = await run_command("backup", str(copy), "--config", str(torture.database.with_suffix(".toml")))
        assert made.returncode == 0, made.stderr.decode()
        await torture.end(signal.SIGKILL)
        kept = Counter(row.status for row in rows(copy))
        assert kept["pending"] + kept["sending"] > 0
        restore(copy, torture.database)

        before = torture.arrivals().copy()
        torture.daemon = await Daemon.start(torture.nursery, torture.database)
        (told,) = torture.daemon.log.of("delivery.interrupted")
        assert told["count"] == kept["pending"] + kept["sending"]
        restored = await torture.finished()
        assert Counter(row.status for row in restored) == {
            "succeeded": kept["succeeded"],
            "failed": kept["failed"],
            "interrupted": kept["interrupted"] + kept["pending"] + kept["sending"],
        }
        acme = torture.daemon.caller(torture.token)
        asked_for = next(row for row in restored if row.status == "interrupted")
        await acme.ask("POST", f"/v1/deliveries/{asked_for.id}/redeliver")
        await torture.finished()
        assert torture.arrivals() - before == Counter([(asked_for.target, asked_for.event)])
