"""Work that is dear has a part of each turn of the event loop, however many ask for it at once."""

from __future__ import annotations

from time import perf_counter

import trio
from tls_peer import connected

from daemon.egress.turn_budget import TurnBudget

LONG = 1.0


class Turns(trio.abc.Instrument):
    """Counts the turns of the event loop."""

    def __init__(self) -> None:
        self.now = 0

    def before_io_wait(self, timeout: float) -> None:
        self.now += 1


async def test_of_many_that_ask_for_long_work_one_has_each_turn() -> None:
    budget, turns, began = TurnBudget(), Turns(), list[int]()

    async def work() -> None:
        await budget.turn()
        began.append(turns.now)
        budget.spend(perf_counter() - LONG)

    trio.lowlevel.add_instrument(turns)
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(work)
    trio.lowlevel.remove_instrument(turns)
    assert len(began) == 20
    assert len(set(began)) == 20


async def test_while_a_turn_has_time_left_nobody_waits() -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await TurnBudget().turn()
    assert not scope.cancelled_caught


async def test_one_that_gives_up_waiting_takes_nobody_s_turn() -> None:
    budget, begun = TurnBudget(), trio.Event()

    async def wait(scope: trio.CancelScope) -> None:
        with scope:
            await budget.turn()
            begun.set()

    scopes = [trio.CancelScope() for _ in range(3)]
    async with trio.open_nursery() as nursery:
        budget.spend(perf_counter() - LONG)
        for scope in scopes:
            nursery.start_soon(wait, scope)
        scopes[0].cancel()
        with trio.fail_after(3):
            await begun.wait()


async def test_a_turn_that_is_used_up_opens_nothing_more_over_tls_and_loses_nothing() -> None:
    budget = TurnBudget()
    async with connected(budget=budget) as (wire, peer):
        await peer.send_in_single_bytes(b"a")
        budget.spend(perf_counter() - LONG)
        assert wire.receive_now() is None
        assert await wire.receive() == b"a"
