"""However many rows there are, all are written, in their order, and none that nobody gave."""

from __future__ import annotations

import sqlite3

from hypothesis import given
from hypothesis import strategies as st

from daemon.persistence.bulk import MOST_ROWS, Bulk

INSERT = Bulk("INSERT INTO t (id, word) SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL", columns=2)
UPDATE = Bulk("UPDATE t SET word = column2 FROM (VALUES {rows}) WHERE id = column1", columns=2)


@given(st.integers(0, 2 * MOST_ROWS + 3), st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=3)))
def test_every_row_is_written_once_whatever_their_number(count: int, word: str | None) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (place INTEGER PRIMARY KEY, id INTEGER, word TEXT)")
    INSERT.run(connection, [(number, word) for number in range(count)])
    assert connection.execute("SELECT place - 1, id, word FROM t ORDER BY place").fetchall() == [
        (number, number, word) for number in range(count)
    ]
    UPDATE.run(connection, [(number, "changed") for number in range(1, count)])
    assert connection.execute("SELECT count(*) FROM t WHERE word = 'changed'").fetchone() == (max(0, count - 1),)
    connection.close()


def test_a_batch_of_any_size_needs_few_statements() -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (id INTEGER, word TEXT)")
    texts: set[str] = set()
    connection.set_trace_callback(lambda text: texts.add(text.partition("VALUES")[0] + str(text.count("("))))
    for count in range(1, 200):
        INSERT.run(connection, [(number, "x") for number in range(count)])
    assert len(texts) <= 10
    connection.close()
