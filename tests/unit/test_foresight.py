"""Where the next event will go is guessed from the last, and nothing is guessed that would do harm."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from daemon.persistence import foresight
from daemon.persistence.commands import NewEvent, Publish
from daemon.persistence.foresight import MOST, Foresight

if TYPE_CHECKING:
    import pytest

_TENANTS = st.integers(1, 3)
_TYPES = st.sampled_from(["a", "b"])
_WEBHOOKS = st.lists(st.integers(1, 30), unique=True, max_size=MOST + 2)


def _publish(*targets: tuple[int, str]) -> Publish:
    return Publish([NewEvent(tenant, type, b"{}") for tenant, type in targets], batch=len(targets) > 1)


def _none(webhook: int) -> bool:
    return False


def test_the_next_event_is_expected_where_the_last_of_its_tenant_and_type_went() -> None:
    known = Foresight()
    known.learn(1, "a", [7, 8])
    known.learn(2, "a", [9])
    assert known.of(_publish((1, "a"), (2, "a"), (1, "a"), (1, "b")), _none) == {1: {7: 2, 8: 2}, 2: {9: 1}}
    known.learn(1, "a", [8])
    assert known.of(_publish((1, "a")), _none) == {1: {8: 1}}
    known.learn(1, "a", [])
    assert known.of(_publish((1, "a")), _none) == {}


def test_those_published_longest_ago_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foresight, "_KNOWN", 2)
    known = Foresight()
    for tenant in (1, 2, 1, 3):
        known.learn(tenant, "a", [tenant])
    assert known.of(_publish((1, "a"), (2, "a"), (3, "a")), _none) == {1: {1: 1}, 3: {3: 1}}


@given(
    learnt=st.lists(st.tuples(_TENANTS, _TYPES, _WEBHOOKS), max_size=6),
    events=st.lists(st.tuples(_TENANTS, _TYPES), min_size=1, max_size=MOST + 2),
    waiting=st.frozensets(st.integers(1, 30)),
)
def test_all_that_will_come_is_expected_or_nothing_and_never_behind_a_backlog(
    learnt: list[tuple[int, str, list[int]]], events: list[tuple[int, str]], waiting: frozenset[int]
) -> None:
    known = Foresight()
    for tenant, type, webhooks in learnt:
        known.learn(tenant, type, webhooks)
    last = {(tenant, type): webhooks if len(webhooks) <= MOST else [] for tenant, type, webhooks in learnt}
    reached = [(t, webhook) for t, type in events for webhook in last.get((t, type), ())]
    coming = Counter((t, webhook) for t, webhook in reached if webhook not in waiting)
    expected = known.of(_publish(*events), waiting.__contains__)
    found = Counter({(t, webhook): count for t, webhooks in expected.items() for webhook, count in webhooks.items()})
    assert found == (coming if coming.total() <= MOST and len(events) <= MOST else Counter())
    assert all(expected.values())
