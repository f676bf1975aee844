"""Waits that end in time: none before its deadline, none much after it, and none that is forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from daemon.egress.deadlines import TICKS_A_SECOND, Deadlines

if TYPE_CHECKING:
    from collections.abc import Iterable

LATEST = 2 / TICKS_A_SECOND


class Wait:
    def __init__(self) -> None:
        self.expired: list[float] = []

    def expire(self) -> None:
        self.expired.append(trio.current_time())


def watched(deadlines: Iterable[float], seconds: float, forgotten: frozenset[int] = frozenset()) -> list[Wait]:
    """Watch a wait for each deadline at once, forget some of them at once, and look at them `seconds` later."""
    waits: list[Wait] = []

    async def run() -> None:
        watching = Deadlines()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watching.run)
            await trio.testing.wait_all_tasks_blocked()
            now = trio.current_time()
            for number, deadline in enumerate(deadlines):
                waits.append(Wait())
                tick = watching.watch(waits[-1], now + deadline)
                if number in forgotten:
                    watching.forget(waits[-1], tick)
            await trio.sleep(seconds)
            nursery.cancel_scope.cancel()
        for wait in waits:
            wait.expired = [at - now for at in wait.expired]

    trio.run(run, clock=MockClock(autojump_threshold=0))
    return waits


@given(st.lists(st.floats(-1, 20), max_size=20))
def test_each_wait_expires_after_its_deadline_and_soon(deadlines: list[float]) -> None:
    for deadline, wait in zip(deadlines, watched(deadlines, 25), strict=True):
        assert deadline - 1e-6 <= wait.expired[0] <= max(deadline, 0) + LATEST + 1e-6


def test_what_is_forgotten_does_not_expire() -> None:
    kept, forgotten = watched([1.0, 1.0], 3, frozenset({1}))
    assert kept.expired
    assert not forgotten.expired


def test_a_wait_is_told_again_until_it_is_forgotten() -> None:
    (wait,) = watched([1.0], 3)
    assert len(wait.expired) > 20


async def test_nothing_wakes_while_nothing_is_watched(autojump_clock: MockClock) -> None:
    watching, wait = Deadlines(), Wait()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watching.run)
        watching.forget(wait, watching.watch(wait, trio.current_time() + 1))
        await trio.sleep(5)
        assert not watching.busy
        nursery.cancel_scope.cancel()


async def test_of_many_that_end_at_one_moment_only_a_few_are_told_in_one_turn() -> None:
    watching, waits, most = Deadlines(), [Wait() for _ in range(1000)], 0
    async with trio.open_nursery() as nursery:
        for wait in waits:
            watching.watch(wait, trio.current_time())
        nursery.start_soon(watching.run)
        told = 0
        with trio.fail_after(5):
            while told < len(waits):
                await trio.lowlevel.checkpoint()
                before, told = told, sum(bool(wait.expired) for wait in waits)
                most = max(most, told - before)
        nursery.cancel_scope.cancel()
    assert 0 < most <= 8
