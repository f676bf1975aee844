"""Databases as earlier versions of the daemon have left them (fixtures/make.py)."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

FIXTURES = {
    int(match[1]): file
    for file in (Path(__file__).parent / "fixtures").iterdir()
    if (match := re.fullmatch(r"version-(\d+)\.sql", file.name))
}


def restore(schema_version: int, path: Path) -> None:
    """Make the file that a daemon of this version was killed on."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(FIXTURES[schema_version].read_text())
        db.execute(f"PRAGMA user_version = {schema_version}")
