"""What Prometheus reads."""

from __future__ import annotations

from collections import Counter
from typing import get_args

import prometheus_client
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from daemon import __version__
from daemon.model import Endpoint, ErrorCode, Outcome, Timings
from daemon.operations.gauges import Sources
from daemon.operations.metrics import CONTENT_TYPE, Metrics


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(trio.run(metrics.scrape).decode())
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return samples(metrics)[f"tenant_webhooks_{name}", frozenset(labels.items())]


def outcome(status: str, error: ErrorCode | None = None, total: float | None = None) -> Outcome:
    return Outcome(status, 1000, 3000, error=error, timings=Timings(total=total))


def webhook(tenant: str = "acme", id: str = "w1") -> Endpoint:
    return Endpoint(1, id, tenant, "https://a.example/", ())


def sources(**looked_up: object) -> Sources:
    nothing: dict[str, object] = {
        **dict.fromkeys(("waiting", "oldest_age", "in_flight"), dict),
        "recoveries": lambda: 0,
        "log_dropped": lambda: 0,
        "ready": lambda: True,
        "database": lambda: {"main": 4096, "wal": 0},
        "free_bytes": lambda: 1000,
        "least_free_bytes": 10,
    }
    return Sources(**{**nothing, **looked_up})


def test_every_outcome_is_counted_under_its_code_and_timed() -> None:
    metrics = Metrics()
    metrics.attempt(webhook(), outcome("succeeded", total=4.0))
    for code in get_args(ErrorCode):
        metrics.attempt(webhook(), outcome("failed", code))
    metrics.interrupted(1, "acme")
    metrics.interrupted(2)
    metrics.cancelled(5, "acme")
    assert value(metrics, "deliveries_total", outcome="succeeded", error="") == 1
    for code in get_args(ErrorCode):
        assert value(metrics, "deliveries_total", outcome="failed", error=code) == 1
    assert value(metrics, "deliveries_total", outcome="interrupted", error="") == 3
    assert value(metrics, "deliveries_total", outcome="cancelled", error="") == 5
    assert value(metrics, "attempt_duration_seconds_sum", outcome="succeeded") == pytest.approx(0.004)
    assert value(metrics, "attempt_duration_seconds_bucket", outcome="succeeded", le="0.0025") == 0
    assert value(metrics, "attempt_duration_seconds_bucket", outcome="succeeded", le="0.005") == 1
    assert value(metrics, "attempt_duration_seconds_count", outcome="failed") == len(get_args(ErrorCode))
    assert value(metrics, "attempt_duration_seconds_sum", outcome="failed") == 2 * len(get_args(ErrorCode))


def test_every_outcome_exists_at_zero_before_it_happens() -> None:
    metrics = Metrics()
    series = [labels for name, labels in samples(metrics) if name == "tenant_webhooks_deliveries_total"]
    assert len(series) == 3 + len(get_args(ErrorCode))
    assert value(metrics, "events_accepted_total") == 0
    assert value(metrics, "deliveries_postponed_total") == 0


def test_events_postponed_deleted_and_commits_are_counted() -> None:
    metrics = Metrics()
    metrics.events_accepted(3)
    metrics.events_accepted(4)
    metrics.postponed(2)
    metrics.deleted(3, 5)
    metrics.deleted(0, 2)
    metrics.commit(100, 0.004)
    metrics.commit(1, 0.2)
    assert value(metrics, "events_accepted_total") == 7
    assert value(metrics, "deliveries_postponed_total") == 2
    assert value(metrics, "events_deleted_total") == 3
    assert value(metrics, "deliveries_deleted_total") == 7
    assert value(metrics, "commit_rows_sum") == 101
    assert value(metrics, "commit_rows_bucket", le="100.0") == 2
    assert value(metrics, "commit_duration_seconds_bucket", le="0.005") == 1
    assert value(metrics, "commit_duration_seconds_count") == 2


def test_the_seconds_of_a_blocked_loop_add_up() -> None:
    metrics = Metrics()
    assert value(metrics, "loop_blocked_seconds_total") == 0
    metrics.loop_blocked(0.25)
    metrics.loop_blocked(1.5)
    assert value(metrics, "loop_blocked_seconds_total") == 1.75


def test_requests_are_counted_by_route_method_and_status() -> None:
    metrics = Metrics()
    for status in (202, 202, 422):
        metrics.request("/v1/events", "POST", status, 0.02)
    metrics.request("/v1/events", "BREW", 405, 0.02)
    metrics.request("/v1/events", "brew2", 405, 0.02)
    assert value(metrics, "http_requests_total", route="/v1/events", method="POST", status="202") == 2
    assert value(metrics, "http_requests_total", route="/v1/events", method="POST", status="422") == 1
    assert value(metrics, "http_requests_total", route="/v1/events", method="other", status="405") == 2
    assert value(metrics, "http_request_duration_seconds_count", route="/v1/events", method="POST") == 3


def test_what_is_observed_is_read_at_each_scrape() -> None:
    metrics = Metrics()
    waiting = {"acme": 1}
    free: list[int | None] = [100]
    metrics.observe(
        sources(
            waiting=lambda: waiting,
            oldest_age=lambda: {"acme": 1.5, "globex": 15.0},
            in_flight=lambda: {"acme": 2},
            log_dropped=lambda: 3,
            ready=lambda: not free[0],
            free_bytes=lambda: free[0],
        )
    )
    waiting["globex"] = 9
    assert value(metrics, "deliveries_waiting") == 10
    assert value(metrics, "oldest_waiting_age_seconds") == 15
    assert value(metrics, "deliveries_in_flight") == 2
    assert value(metrics, "log_lines_dropped_total") == 3
    assert value(metrics, "database_size_bytes", file="main") == 4096
    assert (value(metrics, "disk_free_bytes"), value(metrics, "disk_least_free_bytes")) == (100, 10)
    assert value(metrics, "ready") == 0
    free[0] = None
    assert value(metrics, "ready") == 1
    assert not [name for name, _ in samples(metrics) if name == "tenant_webhooks_disk_free_bytes"]
    with pytest.raises(ValueError, match="Duplicated"):
        metrics.observe(sources())


def test_all_names_are_ours_explained_and_in_no_registry_but_their_own() -> None:
    metrics = Metrics()
    metrics.observe(sources())
    Metrics()
    text = trio.run(metrics.scrape).decode()
    families = list(text_string_to_metric_families(text))
    ours = [family for family in families if not family.name.startswith("process_")]
    assert len(ours) == 21
    assert len(families) == len(ours) + 6
    for family in ours:
        assert family.name.startswith("tenant_webhooks_")
        assert family.documentation.endswith(".")
    for family in families:
        assert not family.name.endswith("_created")
        assert (family.type == "counter") == (f"{family.name}_total" in text)
    assert b"tenant_webhooks" not in prometheus_client.generate_latest()
    assert CONTENT_TYPE == "text/plain; version=0.0.4; charset=utf-8"


def test_what_runs_and_its_process_are_described() -> None:
    found = samples(Metrics())
    (build,) = [dict(labels) for name, labels in found if name == "tenant_webhooks_build_info"]
    assert build["version"] == __version__
    for name in ("cpu_seconds_total", "resident_memory_bytes", "open_fds", "max_fds", "start_time_seconds"):
        assert found[f"process_{name}", frozenset()] > 0


def test_without_named_tenants_no_series_has_a_tenant() -> None:
    metrics = Metrics()
    metrics.observe(sources(waiting=lambda: {"acme": 1}))
    metrics.attempt(webhook("acme"), outcome("failed", "http_status"))
    scraped = trio.run(metrics.scrape)
    assert b"tenant=" not in scraped
    assert b"acme" not in scraped


@settings(max_examples=25)
@given(st.lists(st.sampled_from(["acme", "globex", "t1", "t2", "t3"])))
def test_named_tenants_have_series_of_their_own_and_the_others_share_one(tenants: list[str]) -> None:
    metrics = Metrics(("acme", "globex"))
    counts = Counter(tenants)
    metrics.observe(sources(waiting=lambda: counts, in_flight=lambda: counts, oldest_age=lambda: counts))
    before = len(samples(metrics))
    for tenant in tenants:
        metrics.attempt(webhook(tenant), outcome("succeeded", total=1.0))
        metrics.cancelled(1, tenant)
        metrics.interrupted(1, tenant)
    found = samples(metrics)
    assert len(found) == before, "how many series there are is not the tenants' to say"
    others = sum(number for tenant, number in counts.items() if tenant.startswith("t"))
    for tenant, expected in (("acme", counts["acme"]), ("globex", counts["globex"]), ("", others)):
        for status in ("succeeded", "cancelled", "interrupted"):
            assert value(metrics, "deliveries_total", outcome=status, error="", tenant=tenant) == expected
        assert value(metrics, "attempt_duration_seconds_count", outcome="succeeded", tenant=tenant) == expected
        assert value(metrics, "deliveries_waiting", tenant=tenant) == expected
        assert value(metrics, "deliveries_in_flight", tenant=tenant) == expected
    highest = max((number for tenant, number in counts.items() if tenant.startswith("t")), default=0)
    assert value(metrics, "oldest_waiting_age_seconds", tenant="") == highest


async def test_a_scrape_asks_for_readiness_in_the_event_loop() -> None:
    metrics = Metrics()
    metrics.observe(sources(ready=lambda: trio.current_time() > 0))  # as it is while a commit is under way
    assert b"tenant_webhooks_ready 1.0" in await metrics.scrape()
