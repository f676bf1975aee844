"""Which secrets a claim takes along, while one replaces another."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import trio

from daemon.persistence.backlog import Backlog
from daemon.persistence.clock_steps import ClockSteps
from daemon.persistence.commands import Claim, Progress
from daemon.persistence.database import open_writer
from daemon.persistence.execution import execute
from daemon.persistence.transaction import transaction
from daemon.settings import Limits
from tests.storage.stores import running

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.model import Claimed, Webhook
    from tests.storage.stores import Store

NOW = 4_000_000_000_000
OLD, NEW = b"o" * 32, b"n" * 32


async def one_webhook(path: Path) -> Webhook:
    """A webhook with an event that waits, in a file that nobody has open."""
    async with running(path) as store:
        acme = await store.tenant()
        webhook = await store.webhook(acme)
        await store.publish(acme)
    return webhook


def keys_at(path: Path, webhook: Webhook, now: int, secrets: list[tuple[int, int | None, bytes]]) -> tuple[bytes, ...]:
    """Those that a claim at `now` gets, of secrets with these times of creation and expiry."""
    with closing(open_writer(path)) as db:
        with transaction(db):
            db.execute("DELETE FROM secrets")
            db.executemany(
                "INSERT INTO secrets (webhook, created, expires, key) VALUES (?, ?, ?, ?)",
                [(webhook.seq, *secret) for secret in secrets],
            )
        claim = Progress(webhook.tenant, [], [], [Claim(webhook.seq, 1)])
        (done,) = execute(db, [claim], now, Limits(), Backlog(), ClockSteps(db)).answers
    return done.endpoints[webhook.seq].secrets


@pytest.mark.parametrize(
    ("expires", "keys"),
    [
        (None, (NEW, OLD)),
        (NOW + 1, (NEW, OLD)),
        (NOW, (NEW,)),
        (NOW - 1, (NEW,)),
    ],
    ids=["never", "in a moment", "now", "a moment ago"],
)
@pytest.mark.parametrize("newest_first", [True, False], ids=["stored newest first", "stored oldest first"])
async def test_the_newest_secret_comes_first_and_one_whose_time_is_up_not_at_all(
    expires: int | None, keys: tuple[bytes, ...], newest_first: bool, path: Path
) -> None:
    secrets = [(NOW - 10, expires, OLD), (NOW - 5, None, NEW)]
    webhook = await one_webhook(path)
    assert keys_at(path, webhook, NOW, secrets[:: -1 if newest_first else 1]) == keys


async def test_another_webhooks_secret_is_never_taken_along(path: Path) -> None:
    async with running(path) as store:
        acme = await store.tenant()
        mine, other = await store.webhook(acme), await store.webhook(acme)
        replace(path, other, NEW)
        await store.publish(acme)
        claims = [Claim(webhook.seq, 1) for webhook in (mine, other)]
        done = await store.actor.progress(Progress(acme.seq, [], [], claims))
    assert done.endpoints[mine.seq].secrets == (b"k" * 32,)
    assert done.endpoints[other.seq].secrets == (NEW,)


async def test_a_claim_beside_a_replacement_gets_the_secrets_from_before_it_or_from_after_it(store: Store) -> None:
    acme = await store.tenant()
    webhook = await store.webhook(acme)
    path = store.actor._readers._path
    names = [b"k" * 32, *(bytes([n]) * 32 for n in range(20))]
    await store.publish(acme, 2)
    found: list[tuple[bytes, ...]] = []

    async def claim_on_and_on() -> None:
        claimed: list[Claimed] = []
        while True:
            done = await store.actor.progress(Progress(acme.seq, [], claimed, [Claim(webhook.seq, 1)]))
            claimed = done.claimed
            found.append(done.endpoints[webhook.seq].secrets)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(claim_on_and_on)
        for name in names[1:]:
            await trio.to_thread.run_sync(replace, path, webhook, name)
        before = len(found)
        while len(found) < before + 2:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    order = [names.index(key) for (key,) in found]
    assert order == sorted(order)
    assert order[-1] == len(names) - 1


def replace(path: Path, webhook: Webhook, key: bytes) -> None:
    """The old secret ends when the new one begins."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db, transaction(db):
        db.execute("UPDATE secrets SET expires = 1 WHERE webhook = ?", (webhook.seq,))
        db.execute(
            "INSERT INTO secrets SELECT webhook, max(created) + 1, NULL, ? FROM secrets WHERE webhook = ?",
            (key, webhook.seq),
        )
