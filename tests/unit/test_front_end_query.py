"""Queries: every parameter known, once, and valid."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.front_end.problems import MOST_ERRORS, Problem
from daemon.front_end.query import NoQuery, Page, parse, typed
from daemon.front_end.routes.deliveries import DeliveriesQuery
from daemon.front_end.routes.webhooks import WebhooksQuery

if TYPE_CHECKING:
    from collections.abc import Iterator


def refused(query: bytes, kind: type[NoQuery]) -> list[str | None]:
    with pytest.raises(Problem) as caught:
        typed(parse(query), kind)
    assert caught.value.slug == "invalid"
    assert all(error.pointer is None for error in caught.value.document.errors)
    return [error.parameter for error in caught.value.document.errors]


def test_parameters_become_what_their_route_says() -> None:
    query = (
        b"status=failed&eventType=a.b&error=http_status&since=2025-10-21T11:00:00%2B02:00&limit=7&cursor=x&tenant=acme"
    )
    found = typed(parse(query), DeliveriesQuery)
    assert (found.status, found.event_type, found.error, found.limit) == ("failed", "a.b", "http_status", 7)
    assert (found.since, found.until, found.cursor, found.tenant) == ("2025-10-21T11:00:00+02:00", None, "x", "acme")


def test_no_query_is_no_parameter() -> None:
    assert typed(parse(b""), Page) == Page()


@pytest.mark.parametrize(
    "limit", ["0", "201", "-1", "1e1", "7.0", "07", "+7", " 7", "", "null", "x", "9" * 30, "\u0667"]
)
def test_a_limit_is_a_plain_whole_number_from_1_to_200(limit: str) -> None:
    assert refused(f"limit={limit}".encode(), Page) == ["limit"]


@pytest.mark.parametrize("active", ["1", "True", "yes", "", "null"])
def test_a_flag_is_true_or_false(active: str) -> None:
    assert refused(f"active={active}".encode(), WebhooksQuery) == ["active"]


def test_every_culprit_is_named() -> None:
    assert refused(b"status=x&foo=1&limit=0&limit=1", DeliveriesQuery) == ["foo", "limit", "status", "limit"]


def test_a_route_without_parameters_takes_none() -> None:
    assert refused(b"limit=1", NoQuery) == ["limit"]


@given(st.binary())
def test_any_query_is_typed_or_refused(query: bytes) -> None:
    with suppress(Problem):
        typed(parse(query), DeliveriesQuery)


def test_a_flood_of_unknown_parameters_gets_a_bounded_answer() -> None:
    assert len(refused(b"&".join(b"x%d=1" % number for number in range(1000)), NoQuery)) == 20


def test_what_is_refused_is_told_what_would_be_taken() -> None:
    with pytest.raises(Problem) as caught:
        typed(parse(b"status=done&limit=many"), DeliveriesQuery)
    assert [error.detail for error in caught.value.document.errors] == [
        "must be one of cancelled, failed, interrupted, pending, sending, succeeded",
        "must be a whole number",
    ]


class Counted(list[tuple[str, str]]):
    looked_at = 0

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for pair in super().__iter__():
            self.looked_at += 1
            yield pair


def test_of_very_many_wrong_parameters_no_more_are_looked_at_than_are_named() -> None:
    pairs = Counted([("x", "")] * 5000)
    with pytest.raises(Problem) as caught:
        typed(pairs, Page)
    assert len(caught.value.document.errors) == MOST_ERRORS
    assert pairs.looked_at == MOST_ERRORS + 1
