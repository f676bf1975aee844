"""What a page costs does not depend on the rows of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from daemon.persistence import queries, searching
from daemon.persistence.database import open_writer
from daemon.persistence.searching import DeliveryFilter, EventFilter

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def database(path: Path) -> Iterator[sqlite3.Connection]:
    connection = open_writer(path)
    yield connection
    connection.close()


def plan(database: sqlite3.Connection, query: Callable[[sqlite3.Connection], object]) -> list[str]:
    """How SQLite carries out the statement that a query runs."""
    statements: list[str] = []
    database.set_trace_callback(statements.append)
    query(database)
    database.set_trace_callback(None)
    rows: list[tuple[Any, ...]] = database.execute(f"EXPLAIN QUERY PLAN {statements[-1]}").fetchall()
    return [row[3] for row in rows]


NARROWED = "seq>? AND seq<?)"


@pytest.mark.parametrize(
    ("chosen", "first"),
    [
        (DeliveryFilter(tenant=1, webhook=1), f"deliveries_webhook (webhook=? AND {NARROWED}"),
        (DeliveryFilter(tenant=1, webhook=1, status="failed"), f"deliveries_webhook_failed (webhook=? AND {NARROWED}"),
        (
            DeliveryFilter(tenant=1, webhook=1, error="dns_failed"),
            f"deliveries_webhook_failed (webhook=? AND {NARROWED}",
        ),
        (DeliveryFilter(tenant=1, webhook=1, status="interrupted"), f"deliveries_interrupted (tenant=? AND {NARROWED}"),
        (
            DeliveryFilter(tenant=1, webhook=1, status="pending"),
            f"deliveries_queue (status=? AND webhook=? AND {NARROWED}",
        ),
        (DeliveryFilter(tenant=1, status="failed"), f"deliveries_failed (tenant=? AND {NARROWED}"),
        (DeliveryFilter(tenant=1, status="interrupted"), f"deliveries_interrupted (tenant=? AND {NARROWED}"),
        (DeliveryFilter(tenant=1, status="succeeded"), f"deliveries_tenant (tenant=? AND {NARROWED}"),
        (DeliveryFilter(tenant=1, status="pending"), "INTEGER PRIMARY KEY (rowid=?)"),
        (DeliveryFilter(tenant=1, error="dns_failed"), f"deliveries_failed (tenant=? AND {NARROWED}"),
        (DeliveryFilter(event_type="a"), "INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
    ],
)
def test_a_page_of_deliveries_reads_the_rows_it_is_about_in_their_order(
    database: sqlite3.Connection, chosen: DeliveryFilter, first: str
) -> None:
    found = plan(database, lambda db: searching.deliveries(db, chosen, 50, 1000))
    assert found[0] in (f"SEARCH d USING INDEX {first}", f"SEARCH d USING {first}")
    sorts = [step for step in found if "TEMP B-TREE" in step or "SCAN" in step]
    assert sorts in ([], ["SCAN json_each VIRTUAL TABLE INDEX 1:"])


@pytest.mark.parametrize(
    ("chosen", "first"),
    [
        (EventFilter(), "INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
        (EventFilter(tenant=1), f"INDEX events_tenant (tenant=? AND {NARROWED}"),
        (EventFilter(tenant=1, type="a", error="dns_failed"), f"INDEX events_tenant (tenant=? AND {NARROWED}"),
        (
            EventFilter(tenant=1, idempotency_key="k"),
            "INDEX events_key (tenant=? AND idempotency_key=? AND rowid>? AND rowid<?)",
        ),
    ],
)
def test_a_page_of_events_reads_the_rows_it_is_about_in_their_order(
    database: sqlite3.Connection, chosen: EventFilter, first: str
) -> None:
    found = plan(database, lambda db: searching.events(db, chosen, 50, 1000))
    assert found[0] == f"SEARCH e USING {first}"
    assert not [step for step in found if "TEMP B-TREE" in step or "SCAN" in step]


@pytest.mark.parametrize(
    "query",
    [
        lambda db: queries.delivery(db, "dlv_1", 1),
        lambda db: queries.delivery(db, "dlv_1", None),
        lambda db: queries.event(db, "evt_1", 1),
        lambda db: queries.event_deliveries(db, 1),
        lambda db: queries.webhook(db, "w1", 1),
        lambda db: queries.webhooks(db, 1, True, None, None),
        lambda db: queries.tokens(db, 1, 50, None),
    ],
)
def test_looking_one_thing_up_scans_nothing(
    database: sqlite3.Connection, query: Callable[[sqlite3.Connection], object]
) -> None:
    assert not [step for step in plan(database, query) if "TEMP B-TREE" in step or "SCAN" in step]
