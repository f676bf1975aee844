"""Which POST belongs to which delivery, and what the webhooks' counters must be: closer than counting (books.py)."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.books import target_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from harness.books import Key, Row

# How much later than the daemon's end of an attempt the receiver may write its beginning down (ms).
LATE = 50


@dataclass(frozen=True)
class Post:
    """`at`: Unix ms; `answer`: its status code, 0 for none."""

    target: str
    event: str
    at: int
    answer: int


def disagreements(records: Iterable[Row], posts: Iterable[Post], late: int = LATE) -> list[str]:
    """What is wrong if each attempt makes one POST, between its beginning and its end, and ends as that was answered;
    an interrupted one may not have made it. Two deliveries of a key cannot make up for each other, but at one time."""
    left: dict[Key, list[Post]] = defaultdict(list)
    for post in sorted(posts, key=lambda post: post.at):
        left[post.target, post.event].append(post)
    attempted = [row for row in records if row.status in ("succeeded", "failed", "interrupted")]
    wrong: list[str] = []
    for row in sorted(attempted, key=lambda row: (row.status == "interrupted", row.finished)):
        own = left[row.target, row.event]
        fitting = [post for post in own if row.started <= post.at <= row.finished + late and _explains(post, row)]
        if fitting:
            own.remove(fitting[0])
        elif row.status != "interrupted":
            wrong.append(f"{row} has no POST answered so: {own}")
    return wrong + [f"{post} belongs to no delivery" for posts in left.values() for post in posts]


def _explains(post: Post, row: Row) -> bool:
    if row.status == "interrupted":
        return True
    return (row.status == "succeeded") == (post.answer == 200)


def miscounted(database: Path, records: Iterable[Row]) -> list[str]:
    """Webhooks whose `deliveryAttempts` or `lastDelivered` are not what the deliveries in the same file say."""
    failed: dict[str, int] = defaultdict(int)
    last: dict[str, int] = {}
    for row in records:
        failed[row.target] += row.status == "failed"
        if row.status == "succeeded":
            last[row.target] = max(row.finished, last.get(row.target, 0))
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as db:
        webhooks = db.execute("SELECT url, delivery_attempts, last_delivered FROM webhooks").fetchall()
    return [
        f"{url} says {attempts} failed, the last success at {delivered}; {failed[target]} have, {last.get(target)}"
        for url, attempts, delivered in webhooks
        for target in [target_of(url)]
        if (attempts, delivered) != (failed[target], last.get(target))
    ]
