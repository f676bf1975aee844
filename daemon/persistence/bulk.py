"""Many rows in one statement. Each statement costs the writer's thread its turn at the interpreter (DESIGN), and rows
packed as JSON are parsed four times on their way into a column; so rows are parameters of one `VALUES`.

Their number is rounded up to a power of two with rows of nulls, so that a dozen texts serve for any: sqlite3 keeps what
it has compiled.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

MOST_ROWS: Final = 256  # a statement for each row more would cost memory for as long as the process lives


class Bulk:
    """A statement whose text has `{rows}` where a list of `columns` values stands, to be filtered by `column1 IS NOT
    NULL` or by a join on it: the first value of a row is never null."""

    def __init__(self, text: str, columns: int) -> None:
        self._text = text
        self._row = f"({', '.join('?' * columns)})"
        self._nulls = (None,) * columns
        self._of = cache(self._compose)

    def run(self, connection: sqlite3.Connection, rows: Sequence[tuple[object, ...]]) -> None:
        """However many rows there are, in their order. Raises sqlite3.Error."""
        for start in range(0, len(rows), MOST_ROWS):
            part = rows[start : start + MOST_ROWS]
            size = 1 << (len(part) - 1).bit_length()
            values = [value for row in part for value in row]
            values.extend(self._nulls * (size - len(part)))
            connection.execute(self._of(size), values)

    def _compose(self, size: int) -> str:
        return self._text.format(rows=", ".join([self._row] * size))
