"""What a tenant can pile up, and what one answer holds of it."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest
import trio

from daemon.persistence import queries
from daemon.persistence.commands import DeleteWebhook, UpdateWebhook
from daemon.refusals import LimitReached
from tests.storage.stores import PATIENCE, Store

if TYPE_CHECKING:
    from pathlib import Path


async def test_deleted_webhooks_are_kept_up_to_a_bound_and_can_be_used_again(store: Store) -> None:
    tenant, other = await store.tenant(), await store.tenant("globex")
    first = await store.webhook(tenant)
    await store.actor.execute(DeleteWebhook(tenant.seq, first.id), PATIENCE)
    async with trio.open_nursery() as nursery:
        for _ in range(999):
            nursery.start_soon(lambda: store.webhook(tenant, active=False))
    for active in (True, False):
        with pytest.raises(LimitReached, match="1000 webhooks, deleted ones included"):
            await store.webhook(tenant, active=active)
    await store.webhook(other)
    again = UpdateWebhook(tenant.seq, first.id, url="https://example.com/new", active=True)
    assert (await store.actor.execute(again, PATIENCE)).active


async def test_of_an_event_redelivered_without_end_the_newest_deliveries_are_shown(store: Store, path: Path) -> None:
    tenant = await store.tenant()
    await store.webhook(tenant)
    (published,) = await store.publish(tenant)
    with sqlite3.connect(path) as other:
        other.execute(
            """WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
            INSERT INTO deliveries (id, event, webhook, tenant, event_type, status, created, finished)
            SELECT 'dlv_' || i, event, webhook, tenant, event_type, 'failed', created, created FROM deliveries, n"""
        )
    other.close()
    event = await store.actor.read(queries.event, published.id, tenant.seq)
    assert event is not None
    shown = await store.actor.read(queries.event_deliveries, event.seq)
    assert len(shown) == 1000
    assert shown[0].id == "dlv_3000"
