"""Going through the rows of an index, newest first, for those that pass filters that the index does not know: a bounded
number of them, however rare those are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from daemon.persistence.clock_steps import Span

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from daemon.persistence.rows import Row

MOST_ROWS = 10_000
"""Rows that one walk looks at."""

_FIRST_PORTION, _GROWTH = 500, 4  # most pages are full long before


class Walked(NamedTuple):
    """`seen`: every row from this seq on has been looked at, none before it; None when there are no more."""

    rows: list[Row]
    seen: int | None = None


class Walk:
    """`index` (None: the table itself) has the rows that `only` conditions leave in the order of seq."""

    def __init__(self, table: str, alias: str, index: str | None) -> None:
        self._alias = alias
        self._rows = f"{table} {alias} {'NOT INDEXED' if index is None else f'INDEXED BY {index}'}"
        self._conditions = [f"{alias}.seq BETWEEN ? AND ?"]
        self._parameters: list[Any] = []
        self._filters: list[str] = []
        self._values: list[Any] = []

    def only(self, condition: str, *parameters: object) -> None:
        """What the index tells: no row is looked at in vain."""
        self._conditions.append(condition)
        self._parameters.extend(parameters)

    def filtered(self, condition: str, *parameters: object) -> None:
        """May be about tables that are joined to a page."""
        self._filters.append(condition)
        self._values.extend(parameters)

    def search(self, db: sqlite3.Connection, columns: str, joined: str, spans: Iterable[Span], limit: int) -> Walked:
        """The newest in the spans (the newest span first); each has one row in each `joined` table.

        Raises sqlite3.Error."""
        found: list[Row] = []
        left, size = MOST_ROWS, _FIRST_PORTION
        for span in spans:
            before = span.last + 1
            while before > span.first:
                part, count = Span(span.first, before - 1), 0
                if self._filters:
                    part, count = self._portion(db, part, min(size, left))
                found += self._page(db, columns, joined, part, limit - len(found))
                if len(found) == limit:
                    return Walked(found)
                before, left, size = part.first, left - count, size * _GROWTH
                if not left:
                    return Walked(found, before)
        return Walked(found)

    def _portion(self, db: sqlite3.Connection, span: Span, size: int) -> tuple[Span, int]:
        """Where the newest `size` rows are, and how many there are: the whole span if fewer."""
        count, first = db.execute(
            f"""SELECT count(*), min(seq) FROM (SELECT {self._alias}.seq FROM {self._rows}
                WHERE {" AND ".join(self._conditions)} ORDER BY {self._alias}.seq DESC LIMIT ?)""",
            (*span, *self._parameters, size),
        ).fetchone()
        return (span if count < size else Span(first, span.last)), count

    def _page(self, db: sqlite3.Connection, columns: str, joined: str, span: Span, limit: int) -> list[Row]:
        return db.execute(
            f"""SELECT {columns} FROM {self._rows} {joined}
                WHERE {" AND ".join([*self._conditions, *self._filters])} ORDER BY {self._alias}.seq DESC LIMIT ?""",
            (*span, *self._parameters, *self._values, limit),
        ).fetchall()
