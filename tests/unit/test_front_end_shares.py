"""What one tenant may take at a time, and that others are not touched by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
import trio
import trio.testing

from daemon.front_end.problems import Problem
from daemon.front_end.shares import FairReads, Share, Shares

if TYPE_CHECKING:
    from daemon.persistence.actor import Persistence


def test_requests_over_a_tenants_share_are_refused_until_one_ends() -> None:
    shares = Shares(2)
    first, _ = shares.of(1), shares.of(1)
    with pytest.raises(Problem, match="backlog-full") as refused:
        shares.of(1)
    assert refused.value.headers["Retry-After"]
    shares.of(2).end()
    first.end()
    shares.of(1).end()


def test_large_bodies_over_a_tenants_share_are_refused_until_one_ends() -> None:
    shares = Shares(100)

    def large(tenant: int) -> Share:
        share = shares.of(tenant)
        share.grows_large()
        return share

    held = [large(1) for _ in range(32)]
    small = shares.of(1)
    with pytest.raises(Problem, match="backlog-full"):
        small.grows_large()
    small.end()
    large(2).end()
    held.pop().end()
    large(1).end()


class _SlowStore:
    """Answers the reads of one query only when told."""

    def __init__(self) -> None:
        self.running = self.most = 0
        self.go_on = trio.Event()

    async def read(self, query: str) -> str:
        if query == "slow":
            self.running += 1
            self.most = max(self.most, self.running)
            await self.go_on.wait()
            self.running -= 1
        return query


async def test_slow_reads_of_one_tenant_wait_for_each_other_and_others_do_not() -> None:
    store = _SlowStore()
    reads = FairReads(cast("Persistence", store))
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(reads.read, 1, "slow")
            await trio.testing.wait_all_tasks_blocked()
            assert store.most == 2
            assert await reads.read(2, "quick") == "quick"
            assert await reads.read(None, "quick") == "quick"
            store.go_on.set()
    assert store.most == 2


async def test_long_reads_of_several_tenants_leave_readers_to_everybodys_short_ones() -> None:
    store = _SlowStore()
    reads = FairReads(cast("Persistence", store))
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            for tenant in (1, 1, 2, 2, 3, None, None):
                nursery.start_soon(reads.examine, tenant, "slow")
            await trio.testing.wait_all_tasks_blocked()
            assert store.most == 2
            assert await reads.read(4, "quick") == "quick"
            store.go_on.set()
    assert store.most == 2
