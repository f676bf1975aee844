"""Which delivery has been waiting longest, when more webhooks have a backlog than are looked at in one step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from daemon.persistence import oldest as looking
from daemon.persistence import searching
from daemon.persistence.commands import DeleteWebhook
from daemon.persistence.searching import DeliveryFilter
from daemon.settings import Limits
from tests.storage.stores import PATIENCE, running

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

WEBHOOKS = 250


async def test_the_oldest_is_found_wherever_it_waits_and_not_where_it_was_cancelled_or_claimed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "LOOK_SECONDS", 0.0)
    async with running(path, Limits(webhooks_per_tenant=WEBHOOKS)) as store:
        acme = await store.tenant()
        house = store.actor._housekeeping
        oldest = store.actor.waits._oldest
        webhooks = [await store.webhook(acme)]
        await store.publish(acme)
        (first,) = (await store.actor.read(searching.deliveries, DeliveryFilter(), 1000, None)).rows
        webhooks += [await store.webhook(acme) for _ in range(WEBHOOKS - 1)]
        await store.publish(acme)
        while oldest.created != {acme.seq: first.created}:
            await trio.lowlevel.checkpoint()
        await store.actor.execute(DeleteWebhook(None, webhooks[0].id), PATIENCE)
        while house._cancelling:
            await trio.lowlevel.checkpoint()
        (second,) = (
            await store.actor.read(
                searching.deliveries, DeliveryFilter(webhook=webhooks[1].seq, status="pending"), 1000, None
            )
        ).rows
        while oldest.created != {acme.seq: second.created}:
            await trio.lowlevel.checkpoint()
        for webhook in webhooks:
            await store.claim(webhook)
        while oldest.created:
            await trio.lowlevel.checkpoint()
        assert store.actor.waits.oldest_by_tenant() == {}
