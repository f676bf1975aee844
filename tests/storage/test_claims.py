from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from daemon.events import PING
from daemon.model import Finished, Outcome
from daemon.persistence import queries, searching
from daemon.persistence.commands import Claim, DeleteWebhook, Ping, Progress, Redeliver, RemoveTenant, UpdateTenant
from daemon.persistence.commands import UpdateWebhook as Update
from daemon.persistence.searching import DeliveryFilter
from tests.storage.stores import PATIENCE, Store, failed, running, succeeded

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.model import Webhook


async def read_webhook(store: Store, webhook: Webhook) -> Webhook:
    found = await store.actor.read(queries.webhook, webhook.id, webhook.tenant)
    assert found is not None
    return found


async def statuses(store: Store, webhook: Webhook) -> list[str]:
    chosen = DeliveryFilter(webhook=webhook.seq)
    return [delivery.status for delivery in (await store.actor.read(searching.deliveries, chosen, 1000, None)).rows]


async def test_a_claim_takes_the_oldest_and_no_row_is_ever_claimed_twice(store: Store) -> None:
    acme = await store.tenant()
    webhook = await store.webhook(acme)
    published = await store.publish(acme, 5)
    first, second = await store.claim(webhook, 3), await store.claim(webhook, 3)
    assert [claimed.event for claimed in first + second] == [event.id for event in published]
    assert await store.claim(webhook) == []


async def test_one_progress_claims_for_many_webhooks_each_within_its_own_limit(store: Store) -> None:
    acme = await store.tenant()
    webhooks = [await store.webhook(acme) for _ in range(3)]
    await store.publish(acme, 4)
    claims = [Claim(webhook.seq, limit) for webhook, limit in zip(webhooks, (1, 4, 9), strict=True)]
    done = await store.actor.progress(Progress(acme.seq, [], [], claims))
    assert [sum(c.webhook == webhook.seq for c in done.claimed) for webhook in webhooks] == [1, 4, 4]
    assert set(done.endpoints) == {webhook.seq for webhook in webhooks}
    assert done.endpoints[webhooks[0].seq].secrets == (b"k" * 32,)


async def test_the_url_in_force_at_the_claim_is_used_and_recorded(store: Store) -> None:
    acme = await store.tenant()
    webhook = await store.webhook(acme, "https://old.example/")
    await store.publish(acme)
    await store.actor.execute(Update(acme.seq, webhook.id, url="https://new.example/"), PATIENCE)
    done = await store.actor.progress(Progress(acme.seq, [], [], [Claim(webhook.seq, 1)]))
    await store.actor.execute(Update(acme.seq, webhook.id, url="https://newest.example/"), PATIENCE)
    assert done.endpoints[webhook.seq].url == "https://new.example/"
    (delivery,) = (await store.actor.read(searching.deliveries, DeliveryFilter(), 1000, None)).rows
    assert delivery.url == "https://new.example/"


async def test_failures_count_successes_set_last_delivered_and_the_latest_shows_as_last_delivery(store: Store) -> None:
    acme = await store.tenant()
    webhook = await store.webhook(acme)
    await store.publish(acme, 3)
    one, two, three = await store.claim(webhook)
    await store.finish(webhook, succeeded(one, at=5000), failed(two, at=6000))
    await store.finish(webhook, failed(three, at=7000))
    after = await read_webhook(store, webhook)
    assert after.delivery_attempts == 2
    assert after.last_delivered == 5000
    assert after.last_delivery is not None
    assert (after.last_delivery.id, after.last_delivery.status) == (three.id, "failed")
    assert after.last_delivery.at == "1970-01-01T00:00:07.000Z"
    assert after.updated == webhook.updated


async def test_an_interrupted_attempt_shows_as_last_delivery_and_counts_nowhere(store: Store) -> None:
    acme = await store.tenant()
    webhook = await store.webhook(acme)
    await store.publish(acme)
    (one,) = await store.claim(webhook)
    await store.finish(webhook, succeeded(one).__class__(one, Outcome("interrupted", 1, 2)))
    after = await read_webhook(store, webhook)
    assert (after.delivery_attempts, after.last_delivered) == (0, None)
    assert after.last_delivery is not None
    assert after.last_delivery.status == "interrupted"


async def test_pings_touch_no_counter(store: Store) -> None:
    acme = await store.tenant()
    webhook = await store.webhook(acme)
    await store.actor.execute(Ping(acme.seq, webhook.id), PATIENCE)
    (ping,) = await store.claim(webhook)
    assert ping.event_type == PING
    await store.finish(webhook, failed(ping))
    after = await read_webhook(store, webhook)
    assert (after.delivery_attempts, after.last_delivery) == (0, None)


async def test_the_second_outcome_of_a_delivery_changes_nothing_and_is_not_recorded(store: Store) -> None:
    acme = await store.tenant()
    webhook = await store.webhook(acme)
    await store.publish(acme)
    (one,) = await store.claim(webhook)
    assert await store.finish(webhook, succeeded(one)) == {one.seq}
    assert await store.finish(webhook, failed(one)) == frozenset()
    assert await statuses(store, webhook) == ["succeeded"]
    assert (await read_webhook(store, webhook)).delivery_attempts == 0


async def test_an_answer_is_kept_to_the_letter_whatever_text_it_is(store: Store) -> None:
    acme = await store.tenant()
    webhook = await store.webhook(acme)
    await store.publish(acme)
    (one,) = await store.claim(webhook)
    body, headers = 'a\0b "\\u0000" \u2028 \U0001f600 \ufffd', {"x-text": 'é "quoted"\t'}
    outcome = Outcome("failed", 1, 2, 500, "http_status", response_headers=headers, response_body=body)
    await store.finish(webhook, Finished(one, outcome))
    found = await store.actor.read(queries.delivery, one.id, acme.seq)
    assert found is not None
    assert (found.response_body, found.response_headers) == (body, headers)


async def test_what_is_put_back_waits_again_and_is_claimed_again(store: Store) -> None:
    acme = await store.tenant()
    webhook = await store.webhook(acme)
    await store.publish(acme, 2)
    one, _ = await store.claim(webhook)
    assert await store.put_back(webhook, one) == {one.seq}
    assert await store.put_back(webhook, one) == frozenset()
    assert store.actor.waits.total() == 1
    assert sorted(await statuses(store, webhook)) == ["pending", "sending"]
    assert await store.claim(webhook) == [one]


async def test_deactivating_cancels_at_once_what_waits_for_good_and_leaves_running_attempts(store: Store) -> None:
    acme = await store.tenant()
    webhook = await store.webhook(acme)
    await store.publish(acme, 3)
    (running,) = await store.claim(webhook, 1)
    await store.actor.execute(DeleteWebhook(acme.seq, webhook.id), PATIENCE)
    assert await statuses(store, webhook) == ["cancelled", "cancelled", "sending"]
    assert store.actor.waits.total() == 0
    await store.actor.execute(Update(acme.seq, webhook.id, active=True), PATIENCE)
    assert await store.claim(webhook) == []
    await store.publish(acme)
    assert len(await store.claim(webhook)) == 1
    assert await store.finish(webhook, succeeded(running)) == {running.seq}


async def test_what_is_put_back_after_a_deactivation_is_cancelled(store: Store) -> None:
    acme = await store.tenant()
    webhook = await store.webhook(acme)
    await store.publish(acme)
    (one,) = await store.claim(webhook)
    await store.actor.execute(DeleteWebhook(acme.seq, webhook.id), PATIENCE)
    await store.put_back(webhook, one)
    assert await statuses(store, webhook) == ["cancelled"]
    assert store.actor.waits.total() == 0


async def test_cancelled_rows_are_rewritten_in_the_end_also_after_a_restart(path: Path) -> None:
    async with running(path) as store:
        acme = await store.tenant()
        webhook = await store.webhook(acme)
        await store.publish(acme, 700)
        await store.actor.execute(DeleteWebhook(acme.seq, webhook.id), PATIENCE)
    async with running(path) as store:
        assert await statuses(store, webhook) == ["cancelled"] * 700
        while any(
            delivery.finished is None
            for delivery in (await store.actor.read(searching.deliveries, DeliveryFilter(), 1000, None)).rows
        ):
            await trio.lowlevel.checkpoint()


async def test_an_inactive_tenants_work_waits_uncounted_and_is_offered_when_it_is_active_again(store: Store) -> None:
    acme = await store.tenant()
    webhook = await store.webhook(acme)
    await store.publish(acme, 2)
    await store.actor.execute(UpdateTenant(acme.seq, active=False), PATIENCE)
    assert await store.claim(webhook) == []
    assert store.actor.waits.total() == 0
    assert await statuses(store, webhook) == ["pending", "pending"]
    store.offers.clear()
    await store.actor.execute(UpdateTenant(acme.seq, active=True), PATIENCE)
    assert store.offers == [{acme.seq: {webhook.seq: 2}}]
    assert len(await store.claim(webhook)) == 2


async def test_a_removed_tenant_is_gone_at_once_and_its_rows_soon_while_a_late_outcome_is_lost(store: Store) -> None:
    acme = await store.tenant()
    webhook = await store.webhook(acme)
    await store.publish(acme, 1200)
    (running, *_) = await store.claim(webhook, 1)
    await store.actor.execute(UpdateTenant(acme.seq, active=False), PATIENCE)
    await store.actor.execute(RemoveTenant(acme.seq), PATIENCE)
    assert await store.actor.read(queries.webhooks, None, None, None, None) == []
    assert (await store.actor.read(searching.deliveries, DeliveryFilter(), 1000, None)).rows == []
    assert (await store.tenant("acme")).seq != acme.seq
    while await store.actor.read(lambda db: db.execute("SELECT count(*) FROM deliveries").fetchone()[0]):
        await trio.lowlevel.checkpoint()
    assert await store.finish(webhook, succeeded(running)) == frozenset()


async def test_what_a_removed_tenants_actor_puts_back_waits_for_nobody(store: Store) -> None:
    acme = await store.tenant()
    webhook = await store.webhook(acme)
    await store.publish(acme, 3000)
    (*_, last) = await store.claim(webhook, 3000)
    await store.remove(acme)
    await store.put_back(webhook, last)
    assert store.actor.work() == {}


async def test_a_redelivery_carries_the_same_event_to_the_same_webhook(store: Store) -> None:
    acme = await store.tenant()
    webhook = await store.webhook(acme)
    (event,) = await store.publish(acme)
    (one,) = await store.claim(webhook)
    await store.finish(webhook, failed(one))
    again = await store.actor.execute(Redeliver(acme.seq, one.id), PATIENCE)
    assert (again.event, again.webhook, again.redelivery_of, again.status) == (event.id, webhook.id, one.id, "pending")
    (claimed,) = await store.claim(webhook)
    assert (claimed.id, claimed.redelivery, claimed.payload) == (again.id, True, one.payload)
