from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.persistence.backlog import Backlog, Waiting

WEBHOOKS = {webhook: webhook % 3 for webhook in range(9)}
steps = st.lists(st.tuples(st.sampled_from(sorted(WEBHOOKS)), st.integers(-5, 10)), max_size=60)


@given(steps, st.sampled_from(sorted(WEBHOOKS)), st.integers(0, 2))
def test_totals_per_tenant_are_the_sums_of_their_webhooks(
    changes: list[tuple[int, int]], cleared: int, removed: int
) -> None:
    backlog, expected = Backlog(), dict.fromkeys(WEBHOOKS, 0)
    for webhook, count in changes:
        backlog.add(Waiting(WEBHOOKS[webhook], webhook, count))
        expected[webhook] = max(0, expected[webhook] + count)
    assert backlog.clear(cleared) == expected[cleared]
    backlog.clear_tenant(removed)
    expected[cleared] = 0
    kept = {webhook: n for webhook, n in expected.items() if n and WEBHOOKS[webhook] != removed}
    found = {webhook: n for webhooks in backlog.webhooks().values() for webhook, n in webhooks.items()}
    assert found == kept
    for tenant in range(3):
        assert backlog.of_tenant(tenant) == sum(n for webhook, n in kept.items() if WEBHOOKS[webhook] == tenant)
    assert dict(backlog.per_tenant()) == {t: n for t in range(3) if (n := backlog.of_tenant(t))}
