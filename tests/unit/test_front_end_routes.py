"""The table of routes says what the API is: complete, without contradictions, and on the right listeners."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import msgspec
import pytest

from daemon.front_end.app import route_map
from daemon.front_end.capacity import Role
from daemon.front_end.catalogue import KINDS
from daemon.front_end.decoding import NO_BODY
from daemon.front_end.routes import ROUTES
from daemon.front_end.routing import Room, answers_on, paths_of
from daemon.refusals import Refusal

if TYPE_CHECKING:
    from werkzeug.routing import Map

SLUGS = {
    *("not-json", "unauthorized", "forbidden", "not-found", "method-not-allowed", "conflict", "idempotency-conflict"),
    *("not-finished", "webhook-inactive", "tenant-inactive", "tenant-required", "limit-reached", "too-large"),
    *("unsupported-media-type", "invalid", "blocked-address", "fan-out-too-large", "backlog-full"),
    *("storage-unavailable", "draining", "outcome-unknown", "internal"),
    "rate-limited",
}


def test_the_catalogue_is_that_of_the_contract() -> None:
    assert set(KINDS) == SLUGS


def test_every_refusal_is_a_problem_of_the_catalogue() -> None:
    assert {refusal.slug for refusal in Refusal.__subclasses__()} <= set(KINDS)


def test_retry_after_means_that_nothing_was_stored() -> None:
    assert {kind.slug for kind in KINDS.values() if kind.retry_after} == {
        "backlog-full",
        "storage-unavailable",
        "draining",
        "rate-limited",
    }
    assert KINDS["rate-limited"].status == 429
    assert all(KINDS[slug].status == 503 for slug in ("backlog-full", "storage-unavailable", "draining"))


def test_names_and_places_of_routes_are_unique() -> None:
    assert len({route.name for route in ROUTES}) == len(ROUTES)
    assert len({(route.method, route.path) for route in ROUTES}) == len(ROUTES)


def test_every_problem_of_a_route_is_in_the_catalogue() -> None:
    for route in ROUTES:
        assert set(route.problems) <= set(KINDS), route.name


def test_every_type_of_the_table_can_be_described_by_a_schema() -> None:
    types = [kind for route in ROUTES for kind in (*route.body.types, *route.responses, route.query)]
    schemas, _ = msgspec.json.schema_components(types, schema_hook=lambda kind: {"type": "string"})
    assert len(schemas) == len(types)


def test_webhook_routes_and_their_sub_paths_answer_under_both_prefixes() -> None:
    for route in ROUTES:
        under_webhooks = route.path.startswith("/v1/webhooks")
        rest = route.path.removeprefix("/v1")
        assert paths_of(route) == [route.path, *([f"/v1/tenant{rest}", f"/v1/onboard{rest}"] if under_webhooks else [])]


def test_only_routes_without_a_body_leave_it_unread() -> None:
    assert {route.name for route in ROUTES if route.body is not NO_BODY} == {
        "createWebhook", "updateWebhook", "publishEvents", "createTenant", "updateTenant", "createToken",
        "recoverWebhook", "recoverAll",
        "rotateWebhookSecret",
    }  # fmt: skip


def test_only_publishing_takes_more_than_64_kib() -> None:
    assert {route.name for route in ROUTES if route.body_bytes != 65_536} == {"publishEvents"}


@pytest.mark.parametrize(
    ("room", "opened", "answering"),
    [
        ("api", {"main"}, {"main"}),
        ("api", {"main", "observe", "admin"}, {"main", "admin"}),
        ("operators", {"main"}, {"main"}),
        ("operators", {"main", "observe"}, {"main"}),
        ("operators", {"main", "observe", "admin"}, {"admin"}),
        ("observation", {"main"}, {"main"}),
        ("observation", {"main", "admin"}, {"main", "admin"}),
        ("observation", {"main", "observe", "admin"}, {"observe"}),
        ("pages", {"main", "observe", "admin"}, {"main", "observe", "admin"}),
    ],
)
def test_rooms_answer_on_their_listeners_only(room: Room, opened: set[Role], answering: set[Role]) -> None:
    assert {role for role in opened if answers_on(room, role, frozenset(opened))} == answering


def test_a_path_that_no_listener_of_this_kind_has_is_unknown_there_by_any_method() -> None:
    roles = frozenset(get_args(Role))
    known: dict[str, Map] = {role: route_map(ROUTES, role, roles) for role in roles}
    assert {rule.rule for rule in known["observe"].iter_rules()} == {
        "/healthz",
        "/readyz",
        "/metrics",
        "/problems",
        "/problems/<slug>",
        "/docs",
        "/docs/metrics",
        "/docs/log",
        "/openapi.json",
    }
    assert not any(rule.rule.startswith("/v1/tenants") for rule in known["main"].iter_rules())
    assert any(rule.rule.startswith("/v1/tenants") for rule in known["admin"].iter_rules())
    assert ["/v1/status" in {rule.rule for rule in known[role].iter_rules()} for role in ("main", "admin")] == [0, 1]
