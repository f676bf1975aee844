"""What Prometheus reads."""

from __future__ import annotations

from typing import get_args

import prometheus_client
import pytest
from prometheus_client.parser import text_string_to_metric_families

from daemon.model import ErrorCode, Outcome, Timings
from daemon.operations.metrics import CONTENT_TYPE, Metrics


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return samples(metrics)[f"tenant_webhooks_{name}", frozenset(labels.items())]


def outcome(status: str, error: ErrorCode | None = None, total: float | None = None) -> Outcome:
    return Outcome(status, 1000, 3000, error=error, timings=Timings(total=total))


def test_every_outcome_is_counted_under_its_code_and_timed() -> None:
    metrics = Metrics()
    metrics.attempt(outcome("succeeded", total=4.0))
    for code in get_args(ErrorCode):
        metrics.attempt(outcome("failed", code))
    metrics.attempt(outcome("interrupted"))
    metrics.interrupted(2)
    metrics.cancelled(5)
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


def test_events_postponed_and_commits_are_counted() -> None:
    metrics = Metrics()
    metrics.events_accepted(3)
    metrics.events_accepted(4)
    metrics.postponed(2)
    metrics.commit(100, 0.004)
    metrics.commit(1, 0.2)
    assert value(metrics, "events_accepted_total") == 7
    assert value(metrics, "deliveries_postponed_total") == 2
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
    state = {"waiting": 1, "in_flight": 2, "dropped": 3}
    metrics.observe(
        lambda: state["waiting"], lambda: 1.5 * state["waiting"], lambda: state["in_flight"], lambda: state["dropped"]
    )
    state["waiting"] = 10
    assert value(metrics, "deliveries_waiting") == 10
    assert value(metrics, "oldest_waiting_age_seconds") == 15
    assert value(metrics, "deliveries_in_flight") == 2
    assert value(metrics, "log_lines_dropped_total") == 3
    with pytest.raises(ValueError, match="Duplicated"):
        metrics.observe(lambda: 0, lambda: 0, lambda: 0, lambda: 0)


def test_all_names_are_ours_explained_and_in_no_registry_but_their_own() -> None:
    metrics = Metrics()
    metrics.observe(lambda: 0, lambda: 0.0, lambda: 0, lambda: 0)
    Metrics()
    text = metrics.render().decode()
    families = list(text_string_to_metric_families(text))
    assert len(families) == 13
    for family in families:
        assert family.name.startswith("tenant_webhooks_")
        assert family.documentation.endswith(".")
        assert not family.name.endswith("_created")
        assert (family.type == "counter") == (f"{family.name}_total" in text)
    assert b"tenant_webhooks" not in prometheus_client.generate_latest()
    assert CONTENT_TYPE == "text/plain; version=0.0.4; charset=utf-8"
