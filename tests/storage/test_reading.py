"""What a page costs does not depend on the rows of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from daemon.persistence import queries, searching
from daemon.persistence.database import open_writer
from daemon.persistence.searching import DeliveryFilter

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


@pytest.mark.parametrize(
    ("chosen", "first"),
    [
        (DeliveryFilter(tenant=1, webhook=1), "deliveries_webhook (webhook=? AND seq<?)"),
        (DeliveryFilter(tenant=1, webhook=1, status="failed"), "deliveries_webhook_failed (webhook=? AND seq<?)"),
        (DeliveryFilter(tenant=1, webhook=1, error="dns_failed"), "deliveries_webhook_failed (webhook=? AND seq<?)"),
        (DeliveryFilter(tenant=1, status="failed"), "deliveries_failed (tenant=? AND seq<?)"),
        (DeliveryFilter(tenant=1, status="interrupted"), "deliveries_interrupted (tenant=? AND seq<?)"),
        (DeliveryFilter(tenant=1, status="succeeded"), "deliveries_tenant (tenant=? AND seq<?)"),
        (DeliveryFilter(webhook=1, since=5), "deliveries_webhook (webhook=? AND seq<?)"),
        (DeliveryFilter(tenant=1, error="dns_failed"), "deliveries_failed (tenant=? AND seq<?)"),
        (DeliveryFilter(until=5), "INTEGER PRIMARY KEY (rowid<?)"),
    ],
)
def test_a_page_of_deliveries_reads_the_rows_it_is_about_in_their_order(
    database: sqlite3.Connection, chosen: DeliveryFilter, first: str
) -> None:
    found = plan(database, lambda db: searching.deliveries(db, chosen, 50, 1000))
    assert found[0] in (f"SEARCH d USING INDEX {first}", f"SEARCH d USING {first}")
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
