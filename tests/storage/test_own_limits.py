"""A webhook's own limit of attempts at a time, and its headers, as the disk keeps them."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from daemon.persistence import fan_out, publishing, queries
from daemon.persistence.backlog import Backlog
from daemon.persistence.checking import check
from daemon.persistence.clock_steps import ClockSteps
from daemon.persistence.commands import (
    Bound,
    Claim,
    Command,
    FanOut,
    Ping,
    Progress,
    Progressed,
    Publish,
    Redeliver,
    UpdateWebhook,
)
from daemon.persistence.database import open_writer
from daemon.persistence.execution import execute
from daemon.persistence.recovery import recover
from daemon.refusals import Conflict
from daemon.settings import Limits
from daemon.static_headers import HIDDEN
from tests.storage.stores import PATIENCE, Store, failed, new_event, running, succeeded

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.model import Claimed, Finished, Tenant, Webhook


async def limited(store: Store, tenant: Tenant, most: int | None) -> Webhook:
    webhook = await store.webhook(tenant)
    return await store.actor.execute(UpdateWebhook(tenant.seq, webhook.id, max_concurrent=most), PATIENCE)


async def step(
    store: Store, webhook: Webhook, limit: int, *finished: Finished, postponed: tuple[Claimed, ...] = ()
) -> Progressed:
    return await store.actor.progress(
        Progress(webhook.tenant, list(finished), list(postponed), [Claim(webhook.seq, limit)])
    )


async def test_no_claim_ever_makes_more_under_way_than_the_limit(store: Store) -> None:
    acme = await store.tenant()
    webhook = await limited(store, acme, 3)
    await store.publish(acme, 9)
    first = await step(store, webhook, 2)
    assert (len(first.claimed), first.bounds) == (2, {webhook.seq: Bound(3, 2)})
    second = await step(store, webhook, 16)
    assert (len(second.claimed), second.bounds) == (1, {webhook.seq: Bound(3, 1)})
    assert (await step(store, webhook, 16)).bounds == {webhook.seq: Bound(3, 0)}
    third = await step(store, webhook, 16, succeeded(first.claimed[0]), failed(second.claimed[0]))
    assert [delivery.seq for delivery in third.claimed] == [second.claimed[0].seq + 1, second.claimed[0].seq + 2]


async def test_a_webhook_without_a_limit_has_no_bound(store: Store) -> None:
    acme = await store.tenant()
    webhook = await limited(store, acme, None)
    await store.publish(acme, 9)
    done = await step(store, webhook, 16)
    assert (len(done.claimed), done.bounds) == (9, {})


async def test_in_order_what_is_put_back_comes_before_all_that_was_accepted_after_it(store: Store) -> None:
    acme = await store.tenant()
    webhook = await limited(store, acme, 1)
    await store.publish(acme, 2)
    (first,) = (await step(store, webhook, 16)).claimed
    await store.actor.execute(Ping(acme.seq, webhook.id), PATIENCE)
    together = await step(store, webhook, 16, postponed=(first,))
    assert (together.claimed, together.bounds) == ([], {webhook.seq: Bound(1, 0)})
    order: list[Claimed] = []
    ended: list[Finished] = []
    while claimed := (await step(store, webhook, 16, *ended)).claimed:
        assert len(claimed) == 1
        order += claimed
        ended = [failed(claimed[0])]
    assert [delivery.seq for delivery in order] == sorted(delivery.seq for delivery in order)
    assert (order[0].seq, order[-1].event_type, len(order)) == (first.seq, "webhook.ping", 3)
    await store.actor.execute(Redeliver(acme.seq, first.id), PATIENCE)
    assert [delivery.redelivery for delivery in (await step(store, webhook, 16)).claimed] == [True]


async def test_a_limit_that_changes_holds_for_the_next_claim(store: Store) -> None:
    acme = await store.tenant()
    webhook = await limited(store, acme, 2)
    await store.publish(acme, 9)
    two = (await step(store, webhook, 16)).claimed
    await store.actor.execute(UpdateWebhook(acme.seq, webhook.id, max_concurrent=1), PATIENCE)
    assert (await step(store, webhook, 16, succeeded(two[0]))).bounds == {webhook.seq: Bound(1, 0)}
    (third,) = (await step(store, webhook, 16, succeeded(two[1]))).claimed
    await store.actor.execute(UpdateWebhook(acme.seq, webhook.id, max_concurrent=None), PATIENCE)
    rest = await step(store, webhook, 16)
    assert (len(rest.claimed), rest.bounds) == (6, {})
    assert third.seq < rest.claimed[0].seq


async def test_a_limit_does_not_hold_up_another_webhook(store: Store) -> None:
    acme = await store.tenant()
    webhook, other = await limited(store, acme, 1), await store.webhook(acme)
    await store.publish(acme, 5)
    await step(store, webhook, 1)
    done = await store.actor.progress(Progress(acme.seq, [], [], [Claim(webhook.seq, 5), Claim(other.seq, 5)]))
    assert {delivery.webhook for delivery in done.claimed} == {other.seq}
    assert len(done.claimed) == 5


async def test_what_was_under_way_at_a_crash_takes_no_slot_and_the_rest_keeps_its_order(path: Path) -> None:
    async with running(path) as store:
        acme = await store.tenant()
        webhook = await limited(store, acme, 1)
        published = await store.publish(acme, 4)
        await step(store, webhook, 16)
    with closing(open_writer(path)) as db:
        assert len(recover(db, 1).interrupted) == 1
    assert check(path).problems == []
    async with running(path) as store:
        ended: list[Finished] = []
        events: list[str] = []
        while claimed := (await step(store, webhook, 16, *ended)).claimed:
            events += [delivery.event for delivery in claimed]
            ended = [succeeded(claimed[0])]
    assert events == [event.id for event in published[1:]]


async def test_in_order_what_is_promised_comes_before_what_was_accepted_after_the_promise(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (fan_out, publishing):
        monkeypatch.setattr(module, "AT_ONCE", 2)
    async with running(path) as store:
        acme = await store.tenant()
        webhook = await limited(store, acme, 1)
    with closing(open_writer(path)) as db:

        def carried_out(command: Command[Any]) -> Any:
            (answer,) = execute(db, [command], 1000, Limits(), Backlog(), ClockSteps(db)).answers
            return answer

        begun = carried_out(Publish([new_event(acme) for _ in range(4)], batch=True))
        ping = carried_out(Ping(acme.seq, webhook.id))
        order: list[Claimed] = []
        ended: list[Finished] = []

        def claimed_in_turn() -> int:
            found = carried_out(Progress(acme.seq, ended, [], [Claim(webhook.seq, 16)])).claimed
            order.extend(found)
            ended[:] = [succeeded(delivery) for delivery in found]
            return len(found)

        assert claimed_in_turn() == 0, "it was accepted after what is not there yet"
        assert carried_out(FanOut(begun.fan_out)) is False
        assert [claimed_in_turn() for _ in range(3)] == [1, 1, 0]
        assert carried_out(FanOut(begun.fan_out)) is True
        assert [claimed_in_turn() for _ in range(4)] == [1, 1, 1, 0]
    assert [delivery.seq for delivery in order] == sorted(delivery.seq for delivery in order)
    assert order[-1].id == ping.id


async def test_in_order_what_waited_for_a_promise_is_offered_when_that_is_kept(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (fan_out, publishing):
        monkeypatch.setattr(module, "AT_ONCE", 2)
    acme = await store.tenant()
    webhook, other = await limited(store, acme, 1), await store.webhook(acme)
    await store.actor.execute(UpdateWebhook(acme.seq, webhook.id, events=("first",)), PATIENCE)
    events = [new_event(acme, type="first"), *(new_event(acme) for _ in range(8))]
    await store.actor.execute(Publish(events, batch=True), PATIENCE)
    assert store.offers[0] == {acme.seq: {webhook.seq: 1, other.seq: 1}}
    assert store.offers[-1] == {acme.seq: {webhook.seq: 1, other.seq: 1}}


async def test_headers_are_kept_by_a_hidden_value_replaced_by_others_and_gone_when_left_out(store: Store) -> None:
    acme = await store.tenant()
    webhook = await store.webhook(acme)

    async def changed(**headers: str) -> dict[str, str]:
        command = UpdateWebhook(acme.seq, webhook.id, headers=headers)
        return (await store.actor.execute(command, PATIENCE)).headers

    assert await changed(Authorization="one", b="two") == {"authorization": "one", "b": "two"}
    await store.actor.execute(UpdateWebhook(acme.seq, webhook.id, name="n"), PATIENCE)
    assert await changed(authorization=HIDDEN, c="three") == {"authorization": "one", "c": "three"}
    with pytest.raises(Conflict):
        await changed(b=HIDDEN)
    await store.publish(acme)
    (endpoint,) = (await step(store, webhook, 1)).endpoints.values()
    assert endpoint.headers == '{"authorization":"one","c":"three"}'
    assert await changed() == {}
    found = await store.actor.read(queries.webhook, webhook.id, None)
    assert found is not None
    assert (found.headers, found.name) == ({}, "n")
