"""Which webhook's work a tenant claims next: marks that are never lost, slots that are never idle beside work."""

from __future__ import annotations

from collections import Counter
from math import inf

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from daemon.delivery.pace import Pace
from daemon.delivery.promptness import PROMPT, Verdicts
from daemon.delivery.work import Work
from daemon.persistence.commands import Bound, Claim

_webhooks = st.integers(min_value=1, max_value=5)


class WorkMachine(RuleBasedStateMachine):
    """A disk with pending rows beside the hints: counts drift as rows are cancelled or were never announced exactly."""

    @initialize(per_webhook=st.integers(1, 5), per_tenant=st.integers(1, 20), slow=st.sampled_from([0, 0, 300]))
    def begin(self, per_webhook: int, per_tenant: int, slow: int) -> None:
        self.per_webhook, self.per_tenant = per_webhook, per_tenant
        self.common = per_tenant - per_tenant // 4
        self.probes = self.common + per_tenant // 4 // 2
        pace = Pace(per_tenant)
        for _ in range(slow):
            pace.ended(8.0)
        self.work = Work(per_webhook, per_tenant, Verdicts(), pace)
        self.now = 0.0
        self.disk: dict[int, int] = {}
        # Of these the work may believe that there is a backlog.
        self.drifted: set[int] = set()
        self.running: dict[int, tuple[int, float]] = {}
        self.seen_old: set[int] = set()
        self.prompt: dict[int, bool] = {}
        self.deliveries = 0
        self.claims: list[Claim] = []
        self.answers: list[tuple[int, Bound | None]] = []
        # The webhooks' own limits as the disk has them, and what it counted when it answered the last claims.
        self.limits: dict[int, int] = {}
        self.ever_limited: set[int] = set()
        self.sending: Counter[int] = Counter()

    @rule(webhook=_webhooks, count=st.integers(1, 12))
    def rows_are_accepted_and_announced(self, webhook: int, count: int) -> None:
        self.disk[webhook] = self.disk.get(webhook, 0) + count
        self.work.add(webhook, count)

    @rule(webhook=_webhooks, count=st.integers(1, 12))
    def rows_are_cancelled(self, webhook: int, count: int) -> None:
        self.disk[webhook] = max(0, self.disk.get(webhook, 0) - count)
        self.drifted.add(webhook)

    @rule(webhook=_webhooks, most=st.sampled_from([1, 2, 9, None]))
    def a_limit_is_set(self, webhook: int, most: int | None) -> None:
        self.ever_limited.add(webhook)
        if most is None:
            self.limits.pop(webhook, None)
        else:
            self.limits[webhook] = most

    @rule(seconds=st.sampled_from([0.25, 0.5, PROMPT, 1.5]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    def busy(self, webhook: int) -> int:
        return sum(owner == webhook for owner, _ in self.running.values())

    @precondition(lambda self: not self.claims and len(self.running) < self.per_tenant)
    @rule(data=st.data())
    def claim(self, data: st.DataObject) -> None:
        slots = data.draw(st.integers(1, self.per_tenant - len(self.running)))
        self.seen_old |= {seq for seq, (_, began) in self.running.items() if self.now - began > PROMPT}
        self.prompt |= {self.running[seq][0]: False for seq in self.seen_old}
        self.work.look(self.now, self.per_tenant)
        claimable = self.work.claimable
        self.claims = self.work.plan(slots)
        self.answers = []
        self.sending = Counter(owner for owner, _ in self.running.values())
        limits = {claim.webhook: claim.limit for claim in self.claims}
        assert sum(limits.values()) == min(slots, claimable)
        assert len(limits) == len(self.claims)
        self.check_the_last_quarter(limits, slots)

    def check_the_last_quarter(self, limits: dict[int, int], slots: int) -> None:
        before = sum(not self.prompt.get(webhook) for webhook, _ in self.running.values())
        unsure = {webhook: limit for webhook, limit in limits.items() if not self.prompt.get(webhook)}
        firsts = sum(webhook not in self.prompt and not self.busy(webhook) for webhook in unsure)
        held = before + sum(unsure.values())
        assert not firsts or held <= self.probes
        assert sum(unsure.values()) == firsts or held <= self.common
        if sum(limits.values()) == slots:
            return
        for webhook, rows in self.disk.items():
            busy = self.busy(webhook) + limits.get(webhook, 0)
            if rows <= limits.get(webhook, 0) or busy == self.per_webhook or webhook in self.ever_limited:
                continue
            assert not self.prompt.get(webhook), "work of a prompt webhook is left beside a free slot"
            waits = self.work.withheld > 0
            assert held >= self.common or waits, "work is left beside a free slot that is open to all"
            doubted = webhook in self.drifted or rows > self.per_webhook
            assert doubted or webhook in self.prompt or busy or held >= self.probes, (
                "an untried webhook is left untried"
            )

    @precondition(lambda self: len(self.answers) < len(self.claims))
    @rule()
    def the_store_answers_one(self) -> None:
        claim = self.claims[len(self.answers)]
        most = self.limits.get(claim.webhook)
        allowed = claim.limit if most is None else min(claim.limit, max(0, most - self.sending[claim.webhook]))
        got = min(self.disk.get(claim.webhook, 0), allowed)
        self.disk[claim.webhook] = self.disk.get(claim.webhook, 0) - got
        self.answers.append((got, None if most is None else Bound(most, allowed)))

    @precondition(lambda self: self.claims and len(self.answers) == len(self.claims))
    @rule()
    def the_claims_come_back(self) -> None:
        for claim, (got, bound) in zip(self.claims, self.answers, strict=True):
            self.work.settle(claim, got, bound)
        for claim, (got, _) in zip(self.claims, self.answers, strict=True):
            for _ in range(got):
                self.deliveries += 1
                self.running[self.deliveries] = claim.webhook, self.now
                self.work.begin(claim.webhook, self.deliveries, self.now)
        self.claims = []

    @precondition(lambda self: self.running)
    @rule(data=st.data(), postponed=st.booleans())
    def an_attempt_ends(self, data: st.DataObject, postponed: bool) -> None:
        self.end(data.draw(st.sampled_from(sorted(self.running))), postponed)

    def end(self, delivery: int, postponed: bool) -> None:
        webhook, began = self.running.pop(delivery)
        self.seen_old.discard(delivery)
        self.work.end(webhook, delivery, self.now, attempted=not postponed)
        if postponed:
            self.disk[webhook] += 1
            self.drifted.add(webhook)
            self.work.add(webhook, 1)
        else:
            others_old = any(self.running[seq][0] == webhook for seq in self.seen_old)
            self.prompt[webhook] = self.now - began <= PROMPT and not others_old

    @precondition(lambda self: not self.claims)
    @rule()
    def a_step_goes_to_the_store_anyway(self) -> None:
        self.work.probe()

    @invariant()
    def a_webhook_has_no_more_than_its_slots(self) -> None:
        under_way = {claim.webhook: claim.limit for claim in self.claims}
        for webhook in self.disk:
            assert self.busy(webhook) + under_way.get(webhook, 0) <= self.per_webhook

    def teardown(self) -> None:
        """Whatever happened: stepping until the work says there is none leaves nothing on the disk."""
        if not hasattr(self, "work"):
            return
        while self.claims and len(self.answers) < len(self.claims):
            self.the_store_answers_one()
        if self.claims:
            self.the_claims_come_back()
        for _ in range(1000):
            for delivery in list(self.running):
                self.end(delivery, postponed=False)
            self.work.probe()
            self.work.look(self.now, self.per_tenant)
            self.claims, self.answers, self.sending = self.work.plan(3), [], Counter()
            if not self.claims and self.work.turn < inf:
                self.now = self.work.turn
            elif not self.claims:
                break
            while len(self.answers) < len(self.claims):
                self.the_store_answers_one()
            self.the_claims_come_back()
        assert not any(self.disk.values())
        assert len(self.work) == 0
        assert self.work.claimable == 0


WorkMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestWork = WorkMachine.TestCase


def known(prompt: range = range(0), slow: range = range(0)) -> Verdicts:
    verdicts = Verdicts()
    for webhook in (*prompt, *slow):
        verdicts.note(webhook, webhook in prompt)
    return verdicts


def attempted(work: Work, webhook: int, count: int = 1) -> None:
    """Deliveries that were claimed are attempted in no time."""
    for delivery in range(count):
        work.begin(webhook, delivery, 0.0)
        work.end(webhook, delivery, 0.0, attempted=True)


def planned(work: Work, slots: int, share: int = 64) -> list[Claim]:
    """A plan at instant 0."""
    work.look(0.0, share)
    return work.plan(slots)


def claimed(work: Work, slots: int, share: int = 64) -> dict[int, int]:
    """What a plan claims, all of it found; each delivery begins at instant 0."""
    limits = {claim.webhook: claim.limit for claim in planned(work, slots, share)}
    for webhook, limit in limits.items():
        work.settle(Claim(webhook, limit), limit)
        for number in range(limit):
            work.begin(webhook, 1000 * webhook + number, 0.0)
    return limits


def test_one_slot_goes_round_the_webhooks() -> None:
    work = Work(per_webhook=4, per_tenant=64, verdicts=Verdicts(), pace=Pace(2048))
    for webhook in (1, 2, 3):
        work.add(webhook, 10)
    order = []
    for _ in range(6):
        (claim,) = planned(work, 1)
        work.settle(claim, 1)
        order.append(claim.webhook)
    assert order == [1, 2, 3, 1, 2, 3]


def test_nobody_waits_for_a_busy_webhooks_slot_while_another_could_run() -> None:
    work = Work(per_webhook=2, per_tenant=64, verdicts=Verdicts(), pace=Pace(2048))
    work.add(1, 50)
    (claim,) = planned(work, 64)
    assert claim == Claim(1, 2)
    work.settle(claim, 2)
    work.add(2, 1)
    assert work.claimable == 1
    assert planned(work, 64) == [Claim(2, 1)]


def test_slots_are_spread_evenly_over_webhooks_that_have_work() -> None:
    work = Work(per_webhook=16, per_tenant=64, verdicts=known(prompt=range(8)), pace=Pace(2048))
    for webhook in range(8):
        work.add(webhook, 100)
    assert {claim.limit for claim in planned(work, 64)} == {8}


def test_a_full_claim_marks_its_webhook_again() -> None:
    work = Work(per_webhook=4, per_tenant=64, verdicts=Verdicts(), pace=Pace(2048))
    work.add(1, 4)
    (claim,) = planned(work, 4)
    work.settle(claim, 4)
    attempted(work, 1, 4)
    assert work.claimable == 0
    work.probe()
    assert planned(work, 4) == [Claim(1, 1)]


def test_a_backlog_that_was_announced_too_small_is_soon_claimed_in_full_steps() -> None:
    work = Work(per_webhook=16, per_tenant=64, verdicts=Verdicts(), pace=Pace(2048))
    work.add(1, 1)
    (claim,) = planned(work, 64)
    work.settle(claim, 1)
    attempted(work, 1)
    work.probe()
    (claim,) = planned(work, 64)
    work.settle(claim, 1)
    attempted(work, 1)
    assert planned(work, 64) == [Claim(1, 16)]


def test_work_offered_while_an_empty_claim_was_under_way_keeps_its_mark() -> None:
    work = Work(per_webhook=4, per_tenant=64, verdicts=Verdicts(), pace=Pace(2048))
    work.add(1, 10)
    (claim,) = planned(work, 4)
    work.add(1, 2)
    work.settle(claim, 0)
    assert planned(work, 64) == [Claim(1, 2)]


def test_a_claim_that_a_webhooks_own_limit_cut_short_proves_nothing() -> None:
    work = Work(per_webhook=4, per_tenant=64, verdicts=Verdicts(), pace=Pace(2048))
    work.add(1, 3)
    (claim,) = planned(work, 1)
    work.settle(claim, 1)
    work.begin(1, 0, 0.0)
    (claim,) = planned(work, 64)
    work.settle(claim, 0, Bound(1, 0))
    assert work.claimable == 0
    work.end(1, 0, 0.0, attempted=True)
    assert planned(work, 64) == [Claim(1, 1)]


def test_prompt_webhooks_may_use_every_slot() -> None:
    work = Work(per_webhook=16, per_tenant=64, verdicts=known(prompt=range(4)), pace=Pace(2048))
    for webhook in range(4):
        work.add(webhook, 1000)
    assert claimed(work, 64) == dict.fromkeys(range(4), 16)


def test_slow_webhooks_leave_the_last_quarter_to_prompt_ones() -> None:
    work = Work(per_webhook=16, per_tenant=64, verdicts=known(prompt=range(100, 101), slow=range(64)), pace=Pace(2048))
    for webhook in range(64):
        work.add(webhook, 1000)
    assert sum(claimed(work, 64).values()) == 48
    assert (work.claimable, planned(work, 16)) == (0, [])
    work.add(100, 20)
    assert claimed(work, 16) == {100: 16}


def test_untried_webhooks_take_half_of_the_last_quarter_and_one_slot_each_there() -> None:
    work = Work(per_webhook=16, per_tenant=64, verdicts=Verdicts(), pace=Pace(2048))
    for webhook in range(64):
        work.add(webhook, 16)
    limits = claimed(work, 64)
    assert (len(limits), set(limits.values())) == (56, {1})
    assert work.claimable == 0


def test_untried_webhooks_behind_a_backlog_leave_the_last_quarter_to_those_without() -> None:
    work = Work(per_webhook=16, per_tenant=64, verdicts=Verdicts(), pace=Pace(2048))
    for webhook in range(64):
        work.add(webhook, 17)
    assert sum(claimed(work, 64).values()) == 48
    assert work.claimable == 0
    work.add(100, 1)
    assert claimed(work, 16) == {100: 1}


def test_of_a_smaller_share_slow_webhooks_leave_a_quarter_too() -> None:
    work = Work(per_webhook=16, per_tenant=64, verdicts=known(prompt=range(100, 101), slow=range(64)), pace=Pace(2048))
    for webhook in range(64):
        work.add(webhook, 1000)
    assert sum(claimed(work, 20).values()) == 20
    work.look(0.0, 20)
    assert work.claimable == 0
    work.add(100, 20)
    assert claimed(work, 16, share=20) == {100: 16}
    for number in range(16):
        work.end(100, 100_000 + number, 0.0, attempted=True)
    for webhook in range(8):
        work.end(webhook, 1000 * webhook, 2.0, attempted=True)
    work.look(2.0, 20)
    assert work.claimable == 4 + 3


def test_an_attempt_that_takes_long_closes_the_last_quarter_to_its_webhook_and_a_quick_one_opens_it_again() -> None:
    work = Work(per_webhook=64, per_tenant=64, verdicts=known(prompt=range(1)), pace=Pace(2048))
    work.add(0, 1000)
    assert claimed(work, 40) == {0: 40}
    work.look(PROMPT, 64)
    assert work.claimable == 24
    work.look(PROMPT + 0.001, 64)
    assert work.claimable == 8
    for number in range(40):
        work.end(0, number, 2.0, attempted=True)
    assert work.claimable == 48
    work.look(2.0, 64)
    (claim,) = work.plan(1)
    work.settle(claim, 1)
    work.begin(0, 0, 2.0)
    work.end(0, 0, 2.0 + PROMPT, attempted=True)
    assert work.claimable == 64


def test_what_was_never_an_attempt_says_nothing_about_its_webhook() -> None:
    verdicts = Verdicts()
    work = Work(per_webhook=4, per_tenant=64, verdicts=verdicts, pace=Pace(2048))
    work.add(1, 1)
    claimed(work, 64)
    work.end(1, 1000, 0.0, attempted=False)
    assert verdicts.of(1) is None


def test_prompt_and_slow_webhooks_take_turns() -> None:
    work = Work(per_webhook=4, per_tenant=8, verdicts=known(prompt=range(5), slow=range(5, 6)), pace=Pace(2048))
    for webhook in range(6):
        work.add(webhook, 1000)
    order: list[int] = []
    for _ in range(60):
        (webhook,) = claimed(work, 1, share=8)
        work.end(webhook, 1000 * webhook, 2.0 if webhook == 5 else 0.0, attempted=True)
        order.append(webhook)
    assert order.count(5) >= 10
    assert min(map(order.count, range(5))) >= 6


def test_verdicts_are_bounded_and_the_oldest_are_forgotten() -> None:
    verdicts = Verdicts(room=2)
    for webhook, prompt in ((1, True), (2, False), (1, False), (3, True)):
        verdicts.note(webhook, prompt)
    assert [verdicts.of(webhook) for webhook in (1, 2, 3)] == [False, None, True]
