from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from daemon.persistence import queries, searching
from daemon.persistence.commands import DeleteWebhook, Publish, UpdateTenant
from daemon.persistence.searching import DeliveryFilter
from daemon.refusals import BacklogFull, FanOutTooLarge, IdempotencyConflict, StorageUnavailable, TenantInactive
from daemon.settings import Limits
from tests.storage.stores import PATIENCE, Store, new_event, running

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.model import Status


async def count(store: Store, status: Status = "pending") -> int:
    return len((await store.actor.read(searching.deliveries, DeliveryFilter(status=status), 1000, None)).rows)


async def test_an_event_makes_one_pending_delivery_for_each_active_webhook_of_its_tenant_only(store: Store) -> None:
    acme, other = await store.tenant("acme"), await store.tenant("other")
    first, second = await store.webhook(acme), await store.webhook(acme)
    await store.webhook(acme, active=False)
    await store.webhook(other)
    (published,) = await store.publish(acme)
    assert published.deliveries == 2
    assert not published.duplicate
    deliveries = (await store.actor.read(searching.deliveries, DeliveryFilter(), 1000, None)).rows
    assert {delivery.webhook for delivery in deliveries} == {first.id, second.id}
    assert {delivery.event for delivery in deliveries} == {published.id}
    assert store.offers == [{acme.seq: {first.seq: 1, second.seq: 1}}]


async def test_a_type_nobody_wants_is_stored_and_delivered_to_nobody(store: Store) -> None:
    acme = await store.tenant()
    await store.webhook(acme)
    (published,) = await store.publish(acme, type="something.else")
    assert published.deliveries == 0
    assert await store.actor.read(queries.event, published.id, acme.seq) is not None
    assert store.offers == []


async def test_the_same_key_and_content_again_answers_the_first_result_and_delivers_nothing(store: Store) -> None:
    acme = await store.tenant()
    await store.webhook(acme)
    (first,) = await store.publish(acme, key="k")
    await store.webhook(acme)
    (again,) = await store.publish(acme, key="k")
    assert (again.id, again.created, again.deliveries, again.duplicate) == (first.id, first.created, 1, True)
    assert await count(store) == 1


async def test_the_same_key_with_other_content_is_refused_and_nothing_of_its_batch_is_stored(store: Store) -> None:
    acme = await store.tenant()
    await store.webhook(acme)
    await store.publish(acme, key="k")
    batch = Publish([new_event(acme), new_event(acme, key="k", content=b"other")], batch=True)
    with pytest.raises(IdempotencyConflict) as refused:
        await store.actor.execute(batch, PATIENCE)
    assert refused.value.pointer == "/events/1/idempotencyKey"
    assert await count(store) == 1


async def test_a_key_twice_in_one_batch_makes_the_later_the_duplicate(store: Store) -> None:
    acme = await store.tenant()
    await store.webhook(acme)
    first, second = await store.publish(acme, 2, key="k")
    assert (first.duplicate, second.duplicate) == (False, True)
    assert first.id == second.id
    assert await count(store) == 1


async def test_tenants_do_not_share_idempotency_keys(store: Store) -> None:
    acme, other = await store.tenant("acme"), await store.tenant("other")
    (mine,) = await store.publish(acme, key="k")
    (theirs,) = await store.publish(other, key="k", content=b"other")
    assert not theirs.duplicate
    assert mine.id != theirs.id


async def test_a_fan_out_over_the_limit_stores_nothing_and_says_how_many_events_would_fit(path: Path) -> None:
    async with running(path, Limits(deliveries_per_request=5)) as store:
        acme = await store.tenant()
        await store.webhook(acme)
        await store.webhook(acme)
        with pytest.raises(FanOutTooLarge, match="first 2 would fit") as refused:
            await store.publish(acme, 3)
        assert refused.value.pointer == "/events/2"
        assert await count(store) == 0
        await store.publish(acme, 2)


async def test_a_full_backlog_refuses_until_it_has_drained_and_counts_what_waits_in_the_same_transaction(
    path: Path,
) -> None:
    async with running(path, Limits(waiting_per_tenant=3)) as store:
        acme, other = await store.tenant("acme"), await store.tenant("other")
        webhook = await store.webhook(acme)
        await store.webhook(other)
        await store.publish(acme, 2)
        with pytest.raises(BacklogFull):
            await store.publish(acme, 2)
        await store.publish(other, 3)
        await store.claim(webhook, 1)
        await store.publish(acme, 2)
        assert store.actor.waits.total() == 6


async def test_an_inactive_tenant_is_refused_with_the_pointer_to_the_event(store: Store) -> None:
    acme = await store.tenant()
    await store.actor.execute(UpdateTenant(acme.seq, active=False), PATIENCE)
    with pytest.raises(TenantInactive) as refused:
        await store.publish(acme, 2)
    assert refused.value.pointer == "/events/0/tenant"


async def test_a_deleted_webhook_gets_nothing_of_the_next_event(store: Store) -> None:
    acme = await store.tenant()
    webhook = await store.webhook(acme)
    await store.actor.execute(DeleteWebhook(acme.seq, webhook.id), PATIENCE)
    (published,) = await store.publish(acme)
    assert published.deliveries == 0


async def test_a_nearly_full_disk_refuses_publishing_and_nothing_else(path: Path) -> None:
    async with running(path, least_free=1 << 60) as store:
        acme = await store.tenant()
        await store.webhook(acme)
        with pytest.raises(StorageUnavailable, match="min_free_bytes"):
            await store.publish(acme)
        assert "min_free_bytes" in store.actor.troubles()["space"]
