"""Native journal entries: each field can be asked for, and none is missing."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

import trio
from harness.books import AppendOnly
from harness.events import session_event
from harness.foreign import Ledger, counting_receiver
from harness.receiver import answers
from harness.waiting import eventually
from service import NAME

if TYPE_CHECKING:
    from pathlib import Path

    from harness.starting import Receivers
    from service import Service

OUTCOMES = 100_000
WEBHOOKS = 10
BATCH = 1000
INFO, WARNING = "6", "4"


async def test_a_delivery_is_found_by_its_fields(service: Service, receivers: Receivers) -> None:
    receiver = await receivers.start(answers())
    tenant = await service.tenant("fields")
    webhook = await tenant.register(receiver.url)
    (delivery,) = await tenant.finished(await tenant.publish(session_event("found")))
    wanted = ("TENANT=fields", f"DELIVERY={delivery['id']}")
    (line,) = await _entries(service, *wanted)
    assert line["EVENT"] == "delivery.attempted"
    assert (line["STATUS"], line["STATUS_CODE"], line["WEBHOOK"]) == ("succeeded", "200", webhook["id"])
    assert (line["PRIORITY"], line["SYSLOG_IDENTIFIER"]) == (INFO, "tenant-webhooks")
    assert "delivery.attempted" in line["MESSAGE"]
    assert not line["MESSAGE"].startswith("{"), "a sentence for people"


async def test_what_needs_a_look_stands_out_by_its_priority(service: Service) -> None:
    service.systemctl("kill", "--signal=HUP", NAME)
    service.configure("[nonsense]\n")
    service.systemctl("kill", "--signal=HUP", NAME)
    (line, *_) = await _entries(service, "EVENT=daemon.reload_refused")
    assert line["PRIORITY"] <= WARNING


async def test_of_a_hundred_thousand_outcomes_none_is_missing_in_the_journal(service: Service, tmp_path: Path) -> None:
    ledger = AppendOnly(tmp_path / "ledger")
    tenant = await service.tenant("flood")
    since = time.monotonic()
    async with counting_receiver(Ledger(ledger.path)) as port:
        for number in range(WEBHOOKS):
            await tenant.register(f"http://127.0.0.1:{port}/{number}")
        for batch in range(OUTCOMES // WEBHOOKS // BATCH):
            await tenant.publish(*[session_event(f"{batch}-{number}") for number in range(BATCH)])
        # A line of the ledger has at least so many bytes: cheaper to look at than the database.
        await eventually(lambda: _grown(ledger, OUTCOMES * 40), "most have arrived", within=300)
        await tenant.settled(within=120)
    seconds = time.monotonic() - since
    with closing(sqlite3.connect(f"file:{service.database}?mode=ro", uri=True)) as db:
        ended = {
            row[0]
            for row in db.execute(
                "SELECT d.id FROM deliveries d JOIN webhooks w ON w.seq = d.webhook JOIN tenants t ON t.seq = w.tenant"
                " WHERE t.id = 'flood' AND d.finished IS NOT NULL"
            )
        }
    assert len(ended) == OUTCOMES
    said = await _all_said(service)
    print(f"\n{len(ended)} outcomes in {seconds:.0f} s, of which the journal has {len(set(said))}")
    suppressed = [line for line in await _said_by_journald(service) if "Suppressed" in line]
    assert not ended - set(said), f"{len(ended - set(said))} are missing; {suppressed}"
    assert len(said) == OUTCOMES, "each once"


async def _all_said(service: Service) -> list[str]:
    """The deliveries whose outcomes are in the journal, once all are or no more come."""
    said: list[str] = []
    while True:
        before, said = said, await trio.to_thread.run_sync(_deliveries_in_the_journal, service)
        if len(said) >= OUTCOMES or len(said) == len(before):
            return said


async def _said_by_journald(service: Service) -> list[str]:
    command = ("journalctl", "--no-pager", "--output=cat", "--unit=systemd-journald")
    return (await trio.to_thread.run_sync(service.machine.run, *command)).splitlines()


async def _entries(service: Service, *wanted: str) -> list[dict[str, str]]:
    """At least one entry with these fields: a line follows its commit, by a thread of its own."""

    async def found() -> list[dict[str, str]]:
        return await trio.to_thread.run_sync(service.journal, *wanted)

    return await eventually(found, " ".join(wanted))


async def _grown(ledger: AppendOnly, length: int) -> bool:
    return ledger.length() >= length


def _deliveries_in_the_journal(service: Service) -> list[str]:
    service.machine.run("journalctl", "--sync")
    command = ("journalctl", "--no-pager", "--output=cat", "--output-fields=DELIVERY", f"--unit={NAME}")
    return service.machine.run(*command, "TENANT=flood", "EVENT=delivery.attempted").split()
