"""Which webhook's work a tenant claims next: marks that are never lost, slots that are never idle beside work."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from daemon.delivery.work import Work
from daemon.persistence.commands import Claim

_webhooks = st.integers(min_value=1, max_value=5)


class WorkMachine(RuleBasedStateMachine):
    """A disk with pending rows beside the hints: counts drift as rows are cancelled or were never announced exactly."""

    @initialize(per_webhook=st.integers(1, 5))
    def begin(self, per_webhook: int) -> None:
        self.per_webhook = per_webhook
        self.work = Work(per_webhook)
        self.disk: dict[int, int] = {}
        self.running: dict[int, int] = {}
        self.claims: list[Claim] = []
        self.answers: list[int] = []

    @rule(webhook=_webhooks, count=st.integers(1, 12))
    def rows_are_accepted_and_announced(self, webhook: int, count: int) -> None:
        self.disk[webhook] = self.disk.get(webhook, 0) + count
        self.work.add(webhook, count)

    @rule(webhook=_webhooks, count=st.integers(1, 12))
    def rows_are_cancelled(self, webhook: int, count: int) -> None:
        self.disk[webhook] = max(0, self.disk.get(webhook, 0) - count)

    @precondition(lambda self: not self.claims)
    @rule(slots=st.integers(1, 12))
    def claim(self, slots: int) -> None:
        claimable = self.work.claimable
        self.claims = self.work.plan(slots)
        self.answers = []
        assert sum(claim.limit for claim in self.claims) == min(slots, claimable)
        assert len({claim.webhook for claim in self.claims}) == len(self.claims)

    @precondition(lambda self: len(self.answers) < len(self.claims))
    @rule()
    def the_store_answers_one(self) -> None:
        claim = self.claims[len(self.answers)]
        got = min(self.disk.get(claim.webhook, 0), claim.limit)
        self.disk[claim.webhook] = self.disk.get(claim.webhook, 0) - got
        self.answers.append(got)

    @precondition(lambda self: self.claims and len(self.answers) == len(self.claims))
    @rule()
    def the_claims_come_back(self) -> None:
        for claim, got in zip(self.claims, self.answers, strict=True):
            self.work.settle(claim, got)
            self.running[claim.webhook] = self.running.get(claim.webhook, 0) + got
        self.claims = []

    @precondition(lambda self: any(self.running.values()))
    @rule(data=st.data(), postponed=st.booleans())
    def an_attempt_ends(self, data: st.DataObject, postponed: bool) -> None:
        webhook = data.draw(st.sampled_from(sorted(w for w, count in self.running.items() if count)))
        self.running[webhook] -= 1
        self.work.release(webhook)
        if postponed:
            self.disk[webhook] += 1
            self.work.add(webhook, 1)

    @precondition(lambda self: not self.claims)
    @rule()
    def a_step_goes_to_the_store_anyway(self) -> None:
        self.work.probe()

    @invariant()
    def a_webhook_has_no_more_than_its_slots(self) -> None:
        under_way = {claim.webhook: claim.limit for claim in self.claims}
        for webhook, running in self.running.items():
            assert running + under_way.get(webhook, 0) <= self.per_webhook

    def teardown(self) -> None:
        """Whatever happened: stepping until the work says there is none leaves nothing on the disk."""
        if not hasattr(self, "work"):
            return
        while self.claims and len(self.answers) < len(self.claims):
            self.the_store_answers_one()
        if self.claims:
            self.the_claims_come_back()
        for _ in range(1000):
            for webhook in [w for w, count in self.running.items() for _ in range(count)]:
                self.work.release(webhook)
            self.running.clear()
            self.work.probe()
            self.claims, self.answers = self.work.plan(3), []
            if not self.claims:
                break
            while len(self.answers) < len(self.claims):
                self.the_store_answers_one()
            self.the_claims_come_back()
        assert not any(self.disk.values())
        assert len(self.work) == 0
        assert self.work.claimable == 0


WorkMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestWork = WorkMachine.TestCase


def test_one_slot_goes_round_the_webhooks() -> None:
    work = Work(per_webhook=4)
    for webhook in (1, 2, 3):
        work.add(webhook, 10)
    order = []
    for _ in range(6):
        (claim,) = work.plan(1)
        work.settle(claim, 1)
        order.append(claim.webhook)
    assert order == [1, 2, 3, 1, 2, 3]


def test_nobody_waits_for_a_busy_webhooks_slot_while_another_could_run() -> None:
    work = Work(per_webhook=2)
    work.add(1, 50)
    (claim,) = work.plan(64)
    assert claim == Claim(1, 2)
    work.settle(claim, 2)
    work.add(2, 1)
    assert work.claimable == 1
    assert work.plan(64) == [Claim(2, 1)]


def test_slots_are_spread_evenly_over_webhooks_that_have_work() -> None:
    work = Work(per_webhook=16)
    for webhook in range(8):
        work.add(webhook, 100)
    assert {claim.limit for claim in work.plan(64)} == {8}


def test_a_full_claim_marks_its_webhook_again() -> None:
    work = Work(per_webhook=4)
    work.add(1, 4)
    (claim,) = work.plan(4)
    work.settle(claim, 4)
    for _ in range(4):
        work.release(1)
    assert work.claimable == 0
    work.probe()
    assert work.plan(4) == [Claim(1, 1)]


def test_a_backlog_that_was_announced_too_small_is_soon_claimed_in_full_steps() -> None:
    work = Work(per_webhook=16)
    work.add(1, 1)
    (claim,) = work.plan(64)
    work.settle(claim, 1)
    work.release(1)
    work.probe()
    (claim,) = work.plan(64)
    work.settle(claim, 1)
    work.release(1)
    assert work.plan(64) == [Claim(1, 16)]


def test_work_offered_while_an_empty_claim_was_under_way_keeps_its_mark() -> None:
    work = Work(per_webhook=4)
    work.add(1, 10)
    (claim,) = work.plan(4)
    work.add(1, 2)
    work.settle(claim, 0)
    assert work.plan(64) == [Claim(1, 2)]
