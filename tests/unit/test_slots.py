"""CONTRACT §8.4: bounded in all and per tenant, the last quarter for tenants with few, freed ones to who has least."""

from __future__ import annotations

import time

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from daemon.delivery.slots import FEW, LATELY, Slots

_tenants = st.integers(min_value=0, max_value=7)


class SlotsMachine(RuleBasedStateMachine):
    """Compares the structure with the rules spelled out naively over plain dictionaries."""

    @initialize(total=st.integers(1, 60), per_tenant=st.integers(1, 20))
    def begin(self, total: int, per_tenant: int) -> None:
        self.slots = Slots(total, per_tenant)
        self.total, self.per_tenant = total, per_tenant
        self.held: dict[int, int] = {}
        self.wished: dict[int, int] = {}
        self.handed: dict[int, int] = {}

    def may_take(self, tenant: int) -> bool:
        held, taken = self.held.get(tenant, 0), sum(self.held.values())
        open_to_all = self.total - self.total // 4
        return held < self.per_tenant and taken < self.total and (taken < open_to_all or held < FEW)

    def eligible(self) -> dict[int, int]:
        return {tenant: self.held.get(tenant, 0) for tenant in self.wished if self.may_take(tenant)}

    @rule(tenant=_tenants, wanted=st.integers(0, 30))
    def ask(self, tenant: int, wanted: int) -> None:
        got = self.slots.ask(tenant, wanted)
        expected = 0
        while expected < wanted and self.may_take(tenant):
            self.held[tenant] = self.held.get(tenant, 0) + 1
            expected += 1
        assert got == expected
        self.wished.pop(tenant, None)
        if wanted > got:
            self.wished[tenant] = wanted - got

    @precondition(lambda self: any(self.held.values()))
    @rule(data=st.data())
    def give(self, data: st.DataObject) -> None:
        tenant = data.draw(st.sampled_from(sorted(tenant for tenant, held in self.held.items() if held)))
        spare = self.held[tenant]
        count = data.draw(st.integers(1, spare))
        before = dict(self.handed)
        self.held[tenant] -= count
        lucky = self.slots.give(tenant, count)
        while eligible := self.eligible():
            fewest = min(eligible.values())
            receivers = [t for t in eligible if eligible[t] == fewest and self.slots.held(t) > self.held.get(t, 0)]
            assert receivers, "a slot did not go to a waiting tenant that has the fewest"
            receiver = receivers[0]
            self.held[receiver] = self.held.get(receiver, 0) + 1
            self.handed[receiver] = self.handed.get(receiver, 0) + 1
            self.wished[receiver] -= 1
            if not self.wished[receiver]:
                del self.wished[receiver]
        assert set(lucky) == {t for t in self.handed if self.handed[t] != before.get(t, 0)}
        assert len(lucky) == len(set(lucky))

    @rule(tenant=_tenants)
    def collect(self, tenant: int) -> None:
        assert self.slots.collect(tenant) == self.handed.pop(tenant, 0)

    @rule(tenant=_tenants)
    def no_more_than_was_held_can_be_given_back(self, tenant: int) -> None:
        with pytest.raises(ValueError, match="more slots"):
            self.slots.give(tenant, self.held.get(tenant, 0) + 1)

    @invariant()
    def every_slot_is_accounted_for(self) -> None:
        assert self.slots.taken == sum(self.held.values()) <= self.total
        assert all(self.slots.held(tenant) == held <= self.per_tenant for tenant, held in self.held.items())
        assert self.slots.waiting == len(self.wished)

    @invariant()
    def nobody_waits_for_a_slot_that_is_free_for_them(self) -> None:
        assert not self.eligible()


SlotsMachine.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
TestSlots = SlotsMachine.TestCase


def test_the_last_quarter_is_open_only_to_tenants_with_fewer_than_eight() -> None:
    slots = Slots(total=400, per_tenant=64)
    assert [slots.ask(tenant, 64) for tenant in range(5)] == [64, 64, 64, 64, 44]
    assert slots.ask(5, 64) == 8
    assert slots.ask(4, 20) == 0
    assert slots.ask(6, 1) == 1


def test_forty_tenants_that_hang_leave_eight_slots_for_another() -> None:
    slots = Slots(total=2048, per_tenant=64)
    for tenant in range(40):
        slots.ask(tenant, 64)
    assert slots.ask(41, 100) == 8


def test_a_freed_slot_goes_to_the_waiting_tenant_with_the_fewest() -> None:
    slots = Slots(total=4, per_tenant=4)
    assert slots.ask(1, 2) == 2
    assert slots.ask(2, 1) == 1
    assert slots.ask(3, 1) == 1
    assert [slots.ask(tenant, 4) for tenant in (1, 2, 4)] == [0, 0, 0]
    assert slots.give(3, 1) == [4]
    assert slots.collect(4) == 1
    assert slots.give(1, 1) == [2]


def test_equals_take_turns() -> None:
    slots = Slots(total=1, per_tenant=4)
    assert slots.ask(0, 1) == 1
    for tenant in (1, 2, 3):
        slots.ask(tenant, 2)
    order = []
    holder = 0
    for _ in range(6):
        (holder,) = slots.give(holder, 1)
        order.append(holder)
    assert order == [1, 2, 3, 1, 2, 3]


def test_a_freed_slot_costs_the_same_however_many_tenants_wait() -> None:
    def cost(tenants: int) -> float:
        slots = Slots(total=64, per_tenant=64)
        for tenant in range(64):
            slots.ask(tenant, 1)
        for tenant in range(64, 64 + tenants):
            slots.ask(tenant, 1_000_000)
        holders = list(range(64))
        begin = time.perf_counter()
        for turn in range(5_000):
            holders[turn % 64] = slots.give(holders[turn % 64], 1)[0]
        return time.perf_counter() - begin

    few = min(cost(10) for _ in range(3))
    many = min(cost(10_000) for _ in range(3))
    assert many < 8 * few


def test_a_share_is_a_tenants_part_of_what_is_open_to_all_and_never_less_than_a_few() -> None:
    slots = Slots(total=200, per_tenant=64)
    assert slots.share(0.0) == 64
    for tenant in range(5):
        slots.ask(tenant, 1)
    assert slots.share(0.0) == 30
    for tenant in range(5, 60):
        slots.ask(tenant, 1)
    assert slots.share(0.0) == FEW


def test_tenants_whose_attempts_end_at_one_moment_are_still_counted_when_they_come_back_and_not_for_long() -> None:
    slots = Slots(total=200, per_tenant=64)
    for tenant in range(6):
        slots.ask(tenant, 20)
    assert slots.share(15.0) == 25
    for tenant in range(6):
        slots.give(tenant, 20)
    assert slots.share(15.0) == 25
    assert slots.share(15.0 + LATELY) == 25
    assert slots.share(15.0 + 2 * LATELY) == 64


def test_a_crowd_of_long_ago_is_forgotten_after_a_second() -> None:
    slots = Slots(total=200, per_tenant=64)
    for tenant in range(100):
        slots.ask(tenant, 1)
    for tenant in range(100):
        slots.give(tenant, 1)
    slots.share(60.0)
    assert slots.share(60.0 + LATELY) == 64


def test_a_tenant_is_alone_unless_another_holds_slots_or_held_some_beside_it_lately() -> None:
    slots = Slots(64, 64)
    slots.share(0.0)
    assert slots.alone(1)
    slots.ask(1, 8)
    assert slots.alone(1)
    assert not slots.alone(2)
    slots.ask(2, 1)
    slots.give(2, 1)
    slots.share(0.5)
    assert not slots.alone(1)
    slots.share(LATELY)
    assert not slots.alone(1)
    slots.share(2 * LATELY)
    assert slots.alone(1)
