"""One thread for all tenants: whose turn it is, and what cancelling leaves behind."""

from __future__ import annotations

import threading

import trio
import trio.testing

from daemon.front_end.fair_thread import FairThread

HOSTILE, HONEST = 1, 2


async def test_a_tenant_with_much_work_waits_for_itself_and_others_come_next() -> None:
    thread, order = FairThread(), list[int | None]()
    go_on = threading.Event()

    async def work(tenant: int | None) -> None:
        def piece() -> None:
            assert threading.current_thread() is not threading.main_thread()
            go_on.wait(5)
            order.append(tenant)

        await thread.run(tenant, piece)

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(work, HOSTILE)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(work, HONEST)
            nursery.start_soon(work, None)
            await trio.testing.wait_all_tasks_blocked()
            go_on.set()
    assert len(order) == 22
    assert {*order[:4]} == {HOSTILE, HONEST, None}


async def test_cancelling_leaves_nothing_running_and_begins_nothing() -> None:
    thread, begun, ended = FairThread(), list[int](), list[int]()
    go_on = threading.Event()

    async def work(number: int) -> None:
        def piece() -> None:
            begun.append(number)
            go_on.wait(5)
            ended.append(number)

        await thread.run(HOSTILE, piece)

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(work, number)
            while not begun:
                await trio.lowlevel.checkpoint()
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
            await trio.testing.wait_all_tasks_blocked()
            assert ended == []
            go_on.set()
        assert begun == ended
        assert len(ended) == 1
        assert await thread.run(HOSTILE, lambda: 7) == 7
