"""A transaction of its own for what is not a batch of commands."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator


@contextmanager
def transaction(db: sqlite3.Connection) -> Generator[None]:
    """Committed at the end of the block, rolled back by whatever is raised in it. Raises sqlite3.Error."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        # A full disk or an I/O error has had SQLite roll back by itself.
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
