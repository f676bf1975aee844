"""The three ledgers (the publisher's book, the database, the receiver's book), and whether they tell the same story."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Key = tuple[str, str]
"""(target, event): what a receiver knows of a delivery."""

FINAL = ("succeeded", "failed", "interrupted", "cancelled")
EXPLAINED = frozenset({"succeeded", "interrupted"})


class AppendOnly:
    """A file that others append whole lines to; each line is read once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()
        self._offset = 0

    def length(self) -> int:
        """In bytes."""
        return self.path.stat().st_size

    def new_lines(self) -> list[list[str]]:
        """The words of each line that has come since the last call."""
        with self.path.open("rb") as file:
            file.seek(self._offset)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._offset += len(whole) + len(newline)
        return [line.split(" ") for line in whole.decode().splitlines()]


@dataclass
class Promises:
    """What the publisher was told. `events`: id → its key and deliveries; `redeliveries`: new delivery → old one."""

    asked: set[str] = field(default_factory=set)
    events: dict[str, tuple[str, int]] = field(default_factory=dict)
    requested: Counter[str] = field(default_factory=Counter)
    redeliveries: dict[str, str] = field(default_factory=dict)

    def note(self, lines: Iterable[list[str]]) -> None:
        for what, *words in lines:
            if what == "asked":
                self.asked.update(words)
            elif what == "promised":
                event, key, deliveries = words
                assert event not in self.events, f"{event} was promised twice"
                self.events[event] = key, int(deliveries)
            elif what == "redeliver":
                self.requested[words[0]] += 1
            else:
                assert what == "redelivered"
                self.redeliveries[words[1]] = words[0]


@dataclass(frozen=True)
class Row:
    """A delivery as the database has it; `key` is the event's idempotency key, times are Unix ms, 0 where there is
    none."""

    id: str
    target: str
    event: str
    key: str | None
    status: str
    redelivery_of: str | None
    started: int = 0
    finished: int = 0


def rows(database: Path) -> list[Row]:
    """Every delivery in the file, read beside whatever daemon runs on it."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as db:
        found = db.execute(
            """SELECT d.id, w.url, e.id, e.idempotency_key, d.status, d.redelivery_of,
                      coalesce(d.started, 0), coalesce(d.finished, 0) FROM deliveries d
               JOIN webhooks w ON w.seq = d.webhook JOIN events e ON e.seq = d.event ORDER BY d.seq"""
        )
        return [Row(id, target_of(url), *rest) for id, url, *rest in found]


def target_of(url: str) -> str:
    """A webhook's last path segment, without the query, which a test may change."""
    return "/" + url.partition("?")[0].rpartition("/")[2]


def count_unfinished(database: Path) -> int:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as db:
        return db.execute("SELECT count(*) FROM deliveries WHERE finished IS NULL").fetchone()[0]


@dataclass(frozen=True)
class Reckoning:
    """The three ledgers beside each other, and what they disagree about (which must be nothing)."""

    promised: int
    recorded: Counter[str]
    originals: int
    redeliveries: int
    arrived: int
    lost: list[str]
    twice: list[Key]
    stuck: list[str]
    unexplained: list[str]

    @property
    def sound(self) -> bool:
        return not (self.lost or self.twice or self.stuck or self.unexplained)

    def table(self) -> str:
        lines = [
            ("publisher", "deliveries promised by a 202", self.promised),
            ("database", "deliveries of published events", self.originals),
            ("database", "redeliveries asked for", self.redeliveries),
            *(("database", f"  of both: {status}", self.recorded[status]) for status in FINAL if self.recorded[status]),
            ("receiver", "POSTs that arrived", self.arrived),
            ("all three", "promised and lost", len(self.lost)),
            ("all three", "sent twice by itself", len(self.twice)),
            ("all three", "left pending or sending", len(self.stuck)),
            ("all three", "otherwise unexplained", len(self.unexplained)),
        ]
        return "\n".join(f"  {book:<10} {what:<34} {number:>9,}" for book, what, number in lines)

    def __str__(self) -> str:
        wrong = {"lost": self.lost, "twice": self.twice, "stuck": self.stuck, "unexplained": self.unexplained}
        return self.table() + "".join(f"\n{name}: {found[:5]}" for name, found in wrong.items() if found)


def reconcile(
    promises: Promises, records: list[Row], arrivals: Counter[Key], explained: frozenset[str] = EXPLAINED
) -> Reckoning:
    """Compare the ledgers once all is settled. `explained`: how deliveries may have ended; every receiver answers 200.

    A delivery is one attempt, so of a key with some rows at most as many POSTs arrive, and at least those `succeeded`;
    an `interrupted` one may or may not have."""
    originals: Counter[str] = Counter()
    redelivered: Counter[str] = Counter()
    statuses: dict[Key, Counter[str]] = {}
    by_id = {row.id: row for row in records}
    for row in records:
        statuses.setdefault((row.target, row.event), Counter())[row.status] += 1
        if row.redelivery_of is None:
            originals[row.event] += 1
        else:
            redelivered[row.redelivery_of] += 1
    keys = {row.event: row.key for row in records}
    lost = [
        event
        for event, (key, deliveries) in promises.events.items()
        if originals[event] != deliveries or keys.get(event, key) != key
    ]
    lost += [new for new, old in promises.redeliveries.items() if new not in by_id or by_id[new].redelivery_of != old]
    lost += [
        f"{key} is {counts} and arrived {arrivals[key]} times"
        for key, counts in statuses.items()
        if arrivals[key] < counts["succeeded"]
    ]
    most = {key: counts["succeeded"] + counts["interrupted"] + counts["failed"] for key, counts in statuses.items()}
    unexplained = [f"{event} was published by nobody" for event, key in keys.items() if key not in promises.asked]
    unexplained += [f"{event} has no 202" for event in originals if event not in promises.events]
    unexplained += [f"{old} redelivered unasked" for old, n in redelivered.items() if n > promises.requested[old]]
    unexplained += [f"{row.id} is {row.status}" for row in records if row.status in {*FINAL} - explained]
    return Reckoning(
        promised=sum(deliveries for _, deliveries in promises.events.values()),
        recorded=Counter(row.status for row in records),
        originals=originals.total(),
        redeliveries=redelivered.total(),
        arrived=arrivals.total(),
        lost=lost,
        twice=[key for key, count in arrivals.items() if count > most.get(key, 0)],
        stuck=[f"{row.id} is {row.status}" for row in records if row.status in ("pending", "sending")],
        unexplained=unexplained,
    )
