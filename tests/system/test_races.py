"""What operators and tenants do while deliveries run: no ledger disagrees afterwards (CONTRACT §4, §8.1-2)."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
from collections import Counter
from contextlib import closing
from itertools import count
from typing import TYPE_CHECKING, Any

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
ROUNDS = max(1, int(os.environ.get("CRASH_ROUNDS", "1")) // 10)
LONGEST_LOAD = 3.0
LONGEST_SUSPENSION = 0.2


async def done(operator: Api, *request: Any) -> bool:
    """Whether the daemon lived to do it."""
    if operator.client.is_closed:
        return False
    try:
        answer = await operator.request(*request)
    except httpx.TransportError:
        return False
    assert answer.is_success or answer.status_code == 503, answer.text
    return answer.is_success


async def flip(operator: Api, choice: random.Random, database: Path, cancelled: set[str]) -> None:
    """Deactivate and revive webhooks at random until the daemon stops. What was left pending by a deactivation that
    has been answered is `cancelled`, whatever its row says by then."""
    ids = [webhook["id"] for webhook in await webhooks(operator)]
    while True:
        id = choice.choice(ids)
        path = f"/v1/webhooks/{id}"
        off = ("DELETE", path) if choice.random() < 0.5 else ("PATCH", path, {"active": False})
        if not await done(operator, *off):
            return
        cancelled |= pending(database, id)
        if not await done(operator, "PATCH", path, {"active": True}):
            return


async def move(operator: Api, choice: random.Random) -> None:
    """Give webhooks another URL, of the same target, until the daemon stops."""
    known = await webhooks(operator)
    for number in count():
        webhook = choice.choice(known)
        url = f"{webhook['url'].partition('?')[0]}?moved={number}"
        if not await done(operator, "PATCH", f"/v1/webhooks/{webhook['id']}", {"url": url}):
            return


async def suspend(operator: Api, choice: random.Random) -> None:
    """Deactivate the tenant for a moment now and then, until the daemon stops."""
    while True:
        await trio.sleep(choice.uniform(0, 2 * LONGEST_SUSPENSION))
        for active, seconds in ((False, choice.uniform(0, LONGEST_SUSPENSION)), (True, 0)):
            if not await done(operator, "PATCH", "/v1/tenants/acme", {"active": active}):
                return
            await trio.sleep(seconds)


async def webhooks(operator: Api) -> list[dict[str, Any]]:
    return (await operator.ask("GET", "/v1/webhooks", tenant="acme"))["data"]


async def revive(operator: Api) -> None:
    """The tenant and all its webhooks, whatever became of them."""
    await operator.ask("PATCH", "/v1/tenants/acme", {"active": True})
    for webhook in await webhooks(operator):
        await operator.ask("PATCH", f"/v1/webhooks/{webhook['id']}", {"active": True})


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


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL], ids=["drained", "killed"])
async def test_what_a_deactivation_cancels_is_never_sent_and_the_rest_once_whatever_else_is_changed(
    ending: signal.Signals, tmp_path: Path
) -> None:
    cancelled: set[str] = set()
    async with Torture.start(tmp_path, SEED) as torture:
        for _ in range(ROUNDS):
            operator = torture.daemon.operator()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(flip, operator, torture.choice, torture.database, cancelled)
                nursery.start_soon(move, torture.daemon.operator(), torture.choice)
                nursery.start_soon(suspend, torture.daemon.operator(), torture.choice)
                await torture.load(shortest=1, longest=LONGEST_LOAD)
                await torture.end(ending)
            await torture.start_again(ending)
            await revive(torture.daemon.operator())
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
