"""Whether the file stays as large as what it keeps, and whether deleting delays what is published meanwhile."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

import trio
from msgspec import Struct

from tests.bench import latency
from tests.bench.daemon_process import daemon
from tests.bench.figures import Figure, Target
from tests.bench.filling import filling
from tests.bench.percentiles import median, p99

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bench.bench import Bench

_RATE, _EVENTS = 300.0, 54_000
_TIMES_OVER = 8
_LOOKING = 0.5
_OLD, _BESIDE_RATE, _BESIDE_EVENTS = 100_000, 200.0, 3000
_DAY = 86_400.0
_AT_ONCE = 1 / _DAY
_FLAT = Target("at most", 1.1, of="ratio")
_UNNOTICED = Target("at most", 1.5, of="ratio")


async def measure(bench: Bench) -> list[Figure]:
    return [*await _steady(bench), *await _beside_a_purge(bench)]


class _Seen(Struct, frozen=True):
    """`at` seconds after the first; MB of the database and of it with its WAL; events in it."""

    at: float
    database: float
    files: float
    events: int


async def _steady(bench: Bench) -> list[Figure]:
    """At a steady rate for eight times as long as an event is kept."""
    events = bench.amount(_EVENTS)
    kept = events / _RATE / _TIMES_OVER
    database, changes = bench.database(), {"storage": {"retention_days": kept / _DAY}}
    bench.doing(f"retention: {_RATE:g} events/s, each kept for {kept:.3g} s")
    seen: list[_Seen] = []
    async with latency.receiver(bench.folder) as receiver, daemon(database, changes) as running:
        token = await running.token("acme")
        await running.caller(token).register(f"{receiver.url}/hook")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_watch, database, seen)
            await latency.measure(running, receiver, token, "/hook", _RATE, events)
            nursery.cancel_scope.cancel()
        bench.complete("retention", receiver.tally())
    # The first events went when they had been kept for so long; from then on as many go as come.
    early = [look for look in seen if 1.5 * kept <= look.at < 4 * kept]
    late = [look for look in seen if look.at >= 5.5 * kept]
    how = (
        f"largest in the last third of {events / _RATE:.0f} s; beside it largest in the first, events kept {kept:.3g} s"
    )
    most = max(look.events for look in late)
    return [
        Figure(
            "retention",
            "database file",
            max(look.database for look in late),
            "MB",
            max(look.database for look in early),
            _FLAT,
            how,
        ),
        Figure(
            "retention",
            "with its WAL",
            max(look.files for look in late),
            "MB",
            max(look.files for look in early),
            note=how,
        ),
        Figure(
            "retention",
            "events on disk",
            most,
            "",
            _RATE * (kept + 1),
            _FLAT,
            "most at once; beside it rate x (time kept + 1 s)",
        ),
    ]


async def _watch(database: Path, seen: list[_Seen]) -> None:
    began = time.monotonic()
    while True:
        await trio.sleep(_LOOKING)
        seen.append(_look(database, time.monotonic() - began))


def _look(database: Path, at: float) -> _Seen:
    size = database.stat().st_size / 1e6
    wal = database.with_name(f"{database.name}-wal").stat().st_size / 1e6
    return _Seen(at, size, size + wal, _count(database))


async def _beside_a_purge(bench: Bench) -> list[Figure]:
    """Published while a hundred thousand old events are deleted; beside it the same with nothing to delete."""
    old, events = bench.amount(_OLD), bench.amount(_BESIDE_EVENTS)
    took: dict[float, latency.Latencies] = {}
    deleted = 0
    for days in (0.0, _AT_ONCE):
        database = bench.database()
        await trio.to_thread.run_sync(_fill, database, old)
        changes = {"storage": {"retention_days": days}}
        async with latency.receiver(bench.folder) as receiver, daemon(database, changes) as running:
            token = await running.token("acme", create=False)
            await running.caller(token).register(f"{receiver.url}/hook")
            bench.doing(f"retention: {_BESIDE_RATE:g} events/s beside {'a purge' if days else 'none'}")
            before = _count(database)
            took[days] = await latency.measure(running, receiver, token, "/hook", _BESIDE_RATE, events)
            deleted = before + events - _count(database)
            bench.complete("retention", receiver.tally())
    quiet, purging = took[0.0].milliseconds, took[_AT_ONCE].milliseconds
    how = f"publish request due → arrived, {events:,} at {_BESIDE_RATE:g}/s; {deleted:,} events were deleted meanwhile"
    return [
        Figure("retention", "p50 beside a purge", median(purging), "ms", median(quiet), _UNNOTICED, how),
        Figure("retention", "p99 beside a purge", p99(purging), "ms", p99(quiet), _UNNOTICED, "beside it without one"),
    ]


def _fill(database: Path, events: int) -> None:
    """Finished by a webhook of its own, which gets nothing new."""
    with filling(database) as fill:
        tenant = fill.tenant("acme")
        url = "http://127.0.0.1:9/"
        fill.history(tenant, fill.webhook(tenant, url, subscribed=False), fill.events(tenant, events), events, url)


def _count(database: Path) -> int:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return connection.execute("SELECT count(*) FROM events").fetchone()[0]
