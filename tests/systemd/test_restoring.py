"""A backup made and restored on the machine, by the very commands of README.md."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import trio
from harness.books import AppendOnly
from harness.events import session_event
from harness.foreign import Ledger, counting_receiver
from materials import TREE
from service import CONFIG
from test_restarts_under_load import Load

if TYPE_CHECKING:
    from pathlib import Path

    from service import Service

COPY = "/backup/monday.db"
# So many take 10 s: most of them wait while the backup is made.
WAITING, ANSWER_DELAY = 200, 0.05
ONE_AT_A_TIME = "[delivery]\nmax_concurrent_per_webhook = 1\n"


async def test_a_backup_made_under_load_is_restored_as_the_readme_says_and_sends_nothing_by_itself(
    service: Service, tmp_path: Path
) -> None:
    make, restore = _commands()
    service.machine.run("mkdir", "-p", "-m", "0700", COPY.rpartition("/")[0])
    service.configure(ONE_AT_A_TIME)
    service.restart()
    ledger = AppendOnly(tmp_path / "ledger")
    async with counting_receiver(Ledger(ledger.path), ANSWER_DELAY) as port:
        tenant = await service.tenant("restored")
        await tenant.register(f"http://127.0.0.1:{port}/restored")
        load = Load(tenant.client.headers["authorization"].split()[1])
        async with trio.open_nursery() as nursery:
            await tenant.publish(*[session_event(f"waiting-{number}") for number in range(WAITING)])
            nursery.start_soon(load.publish, "publisher")
            await load.goes_on()
            promised = set(load.promised)
            await trio.to_thread.run_sync(service.machine.run, "sh", "-ec", make)
            copied, waiting = _copied(service)
            assert promised <= copied
            assert waiting
            # The publisher goes on knocking meanwhile: that must not bring up a daemon.
            await trio.to_thread.run_sync(service.machine.run, "sh", "-ec", restore)
            assert load.refused
            load.over = True
        await tenant.settled(within=60)
    found = await tenant.deliveries()
    assert {delivery["id"] for delivery in found if delivery["status"] == "interrupted"} == waiting
    (told,) = service.journal("EVENT=delivery.interrupted", f"_PID={service.main_pid}")
    assert told["COUNT"] == str(len(waiting))
    since = int(service.shown("ExecMainStartTimestampMonotonic")) * 1000
    arrived = [event for at, _, event, *_ in ledger.new_lines() if int(at) > since]
    assert sorted(arrived) == sorted({delivery["event"] for delivery in found} - copied), "what is new, each once"
    service.machine.run("tenant-webhooks", "doctor", "--config", CONFIG)


def _commands() -> list[str]:
    """The indented blocks of that section: how a backup is made, and how it is restored."""
    _, _, section = (TREE / "README.md").read_text(encoding="utf-8").partition("\n## Backup and restore\n")
    blocks = re.findall(r"(?:^    .*\n)+", section.partition("\n## ")[0], re.MULTILINE)
    assert len(blocks) == 2
    return blocks


def _copied(service: Service) -> tuple[set[str], set[str]]:
    """The events in the copy, and the deliveries in it that have not ended."""
    with closing(sqlite3.connect(f"file:{service.machine.path(COPY)}?mode=ro&immutable=1", uri=True)) as db:
        events, waiting = (
            {row[0] for row in db.execute(f"SELECT id FROM {those}")}
            for those in ("events", "deliveries WHERE finished IS NULL")
        )
    return events, waiting
