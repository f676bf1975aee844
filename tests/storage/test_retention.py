"""What is deleted, when, and in which steps: on a real file, with clocks that the test sets."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from daemon.operations import logs
from daemon.persistence import deletion, deletion_rate, queries
from daemon.persistence.database import open_writer
from tests.storage.clockwork import BEGAN, DAY, HOUR, SECOND, Clockwork, Keeper
from tests.storage.histories import History

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def db(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_writer(path)) as connection:
        yield connection


@pytest.fixture
def clock() -> Clockwork:
    return Clockwork()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, object]]]:
    """The log's lines."""
    lines: list[tuple[str, dict[str, object]]] = []
    for level in ("info", "warning"):
        monkeypatch.setattr(logs.get_logger(), level, lambda event, **fields: lines.append((event, fields)))
    return lines


def test_an_event_goes_with_all_its_deliveries_when_the_last_of_them_ended_long_enough_ago(
    db: sqlite3.Connection, clock: Clockwork
) -> None:
    history = History(db)
    event = history.event(BEGAN)
    history.delivery(event, BEGAN, finished=BEGAN + SECOND)
    history.delivery(event, BEGAN, finished=BEGAN + HOUR)
    clock.advance(2 * HOUR)
    keeper = Keeper(db, clock, days=1)
    keeper.run()
    clock.advance(DAY - 2 * HOUR + HOUR - 10 * SECOND)
    keeper.run()
    assert history.events() == {event}
    clock.advance(10 * SECOND)
    keeper.run()
    # It was passed by, and is met again within a tenth of the time that events are kept.
    clock.advance(DAY // 10)
    keeper.run()
    assert history.events() == set()
    assert history.orphans() == 0


def test_an_event_without_deliveries_goes_by_its_creation(db: sqlite3.Connection, clock: Clockwork) -> None:
    history = History(db)
    old, young = history.event(BEGAN), history.event(BEGAN + HOUR)
    clock.advance(HOUR)
    keeper = Keeper(db, clock, days=1)
    clock.advance(DAY - HOUR // 2)
    keeper.run()
    assert history.events() == {young}
    assert old not in history.events()


@pytest.mark.parametrize("status", ["pending", "sending"])
def test_what_waits_or_is_under_way_keeps_its_event_for_ever(
    status: str, db: sqlite3.Connection, clock: Clockwork
) -> None:
    history = History(db)
    event, other = history.event(BEGAN), history.event(BEGAN)
    history.delivery(event, BEGAN, finished=BEGAN)
    last = history.delivery(event, BEGAN, status=status)
    clock.advance(400 * DAY)
    keeper = Keeper(db, clock, days=300)
    clock.advance(300 * DAY)
    keeper.run()
    assert history.events() == {event}, other
    history.finish(last, clock.wall)
    clock.advance(299 * DAY)
    keeper.run()
    assert history.events() == {event}
    clock.advance(2 * DAY)
    keeper.run()
    assert history.events() == set()


def test_a_redelivery_keeps_its_event(db: sqlite3.Connection, clock: Clockwork) -> None:
    history = History(db)
    event = history.event(BEGAN)
    history.delivery(event, BEGAN, finished=BEGAN)
    history.delivery(event, BEGAN + 29 * DAY, finished=BEGAN + 29 * DAY)
    keeper = Keeper(db, clock)
    clock.advance(31 * DAY)
    keeper.run()
    assert history.events() == {event}
    clock.advance(29 * DAY)
    keeper.run()
    assert history.events() == set()


def test_events_whose_deliveries_are_yet_to_be_made_stay(db: sqlite3.Connection, clock: Clockwork) -> None:
    history = History(db)
    promised, other = history.event(BEGAN), history.event(BEGAN)
    history.delivery(promised, BEGAN, finished=BEGAN)
    db.execute("INSERT INTO fan_outs VALUES (1, ?, ?, 10, '[]')", (promised, promised))
    keeper = Keeper(db, clock, max_bytes=1)
    clock.advance(31 * DAY)
    keeper.run()
    assert history.events() == {promised}, other


def test_nothing_is_deleted_by_age_when_it_is_kept_for_ever(db: sqlite3.Connection, clock: Clockwork) -> None:
    history = History(db)
    event = history.event(BEGAN)
    keeper = Keeper(db, clock, days=0)
    clock.advance(30_000 * DAY)
    keeper.run()
    assert history.events() == {event}


def test_a_key_outlives_a_retention_of_less_than_a_day(db: sqlite3.Connection, clock: Clockwork) -> None:
    history = History(db)
    keyed, plain = history.event(BEGAN, key="k"), history.event(BEGAN)
    keeper = Keeper(db, clock, days=0.01, max_bytes=1)
    clock.advance(DAY - 10 * SECOND)
    keeper.run()
    assert history.events() == {keyed}, plain
    clock.advance(HOUR)
    keeper.run()
    assert history.events() == set()


def test_an_event_with_more_deliveries_than_a_step_deletes_vanishes_at_once_and_leaves_nothing(
    db: sqlite3.Connection, clock: Clockwork
) -> None:
    history = History(db)
    before = history.event(BEGAN)
    history.many(1, BEGAN, deliveries=10 * deletion_rate.MOST_ROWS)
    (id,) = db.execute("SELECT id FROM deliveries ORDER BY seq DESC").fetchone()
    keeper = Keeper(db, clock)
    clock.advance(31 * DAY)
    while history.events():
        assert queries.delivery(db, id, None) is not None
        keeper.run(0.001)
    assert before not in history.events()
    assert history.orphans() > 0
    assert queries.delivery(db, id, None) is None
    # A start goes on where the last run has stopped, whatever its clock says.
    keeper = Keeper(db, clock)
    keeper.run(20)
    assert history.orphans() == 0
    assert max(keeper.changed) <= deletion_rate.MOST_ROWS
    assert deletion.hidden(db) is None


def test_a_large_event_that_is_redelivered_while_it_is_looked_through_stays(
    db: sqlite3.Connection, clock: Clockwork
) -> None:
    history = History(db)
    history.many(1, BEGAN, deliveries=3 * deletion_rate.MOST_ROWS)
    (event,) = history.events()
    keeper = Keeper(db, clock)
    clock.advance(31 * DAY)
    keeper.run(0.001)
    assert history.events() == {event}
    history.delivery(event, clock.wall)
    keeper.run()
    assert history.events() == {event}


def test_no_step_changes_more_rows_than_its_share_and_commits_after_it_are_fsynced(
    db: sqlite3.Connection, clock: Clockwork
) -> None:
    history = History(db)
    history.many(20_000, BEGAN, deliveries=2)
    keeper = Keeper(db, clock)
    clock.advance(31 * DAY)
    keeper.run(120)
    assert history.events() == set()
    assert history.orphans() == 0
    # Of 256 rows, each a delivery, at most as many more are their events'.
    assert max(keeper.changed) <= 2 * deletion_rate.MOST_ROWS
    assert db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_step_that_fails_has_deleted_nothing_and_commits_are_fsynced_as_before(
    db: sqlite3.Connection, clock: Clockwork, path: Path
) -> None:
    history = History(db)
    event = history.event(BEGAN)
    history.delivery(event, BEGAN, finished=BEGAN)
    keeper = Keeper(db, clock)
    clock.advance(31 * DAY)
    step = keeper.retention.next(1)
    assert step is not None
    db.execute("CREATE TRIGGER no BEFORE DELETE ON events BEGIN SELECT RAISE(FAIL, 'no'); END")
    with pytest.raises(Exception, match="no"):
        step()
    assert db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert history.events() == {event}
    assert db.execute("SELECT count(*) FROM deliveries").fetchone() == (1,)
    db.execute("DROP TRIGGER no")
    step()()
    assert history.events() == set()


def test_the_room_is_given_back_to_the_disk(db: sqlite3.Connection, clock: Clockwork, path: Path) -> None:
    history = History(db)
    history.many(20_000, BEGAN)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = path.stat().st_size
    keeper = Keeper(db, clock)
    clock.advance(31 * DAY)
    keeper.run(200)
    db.execute("PRAGMA wal_checkpoint(PASSIVE)")
    slack = 1000 * 4096
    assert before > 3 * slack
    assert path.stat().st_size < 1.1 * slack
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_database_that_is_too_large_loses_its_oldest_finished_events_until_it_is_not(
    db: sqlite3.Connection, clock: Clockwork, told: list[tuple[str, dict[str, object]]]
) -> None:
    history = History(db)
    waiting = history.event(BEGAN)
    history.delivery(waiting, BEGAN)
    history.many(10_000, BEGAN)
    limit = deletion.size(db).used // 2
    keeper = Keeper(db, clock, max_bytes=limit)
    keeper.run(100)
    left = history.events()
    assert waiting in left
    rest = sorted(left - {waiting})
    assert rest == list(range(rest[0], 10_001 + waiting)), "the oldest went first"
    assert 0.9 * limit < deletion.size(db).used <= limit
    assert [event for event, _ in told] == ["retention.deleted"]


def test_a_database_that_what_waits_makes_too_large_is_told_of_once_and_keeps_it(
    db: sqlite3.Connection, clock: Clockwork, told: list[tuple[str, dict[str, object]]]
) -> None:
    history = History(db)
    deliveries = [history.delivery(history.event(BEGAN, size=20_000), BEGAN) for _ in range(50)]
    keeper = Keeper(db, clock, max_bytes=500_000)
    keeper.run(300)
    assert len(history.events()) == 50
    assert [event for event, _ in told] == ["retention.stuck"]
    for delivery in deliveries:
        history.finish(delivery, clock.wall)
    keeper.run(100)
    assert deletion.size(db).used <= 500_000
    assert [event for event, _ in told] == ["retention.stuck", "retention.deleted"]


def test_deleting_is_told_at_most_once_a_minute_with_all_that_went(
    db: sqlite3.Connection, clock: Clockwork, told: list[tuple[str, dict[str, object]]]
) -> None:
    history = History(db)
    keeper = Keeper(db, clock)
    for _ in range(200):
        history.delivery(history.event(clock.wall - 31 * DAY), BEGAN, finished=clock.wall - 31 * DAY)
        keeper.run(1)
    keeper.run(61)
    lines = [fields for event, fields in told if event == "retention.deleted"]
    assert 3 <= len(lines) <= 5
    assert sum(int(str(fields["events"])) for fields in lines) == 200
    assert sum(int(str(fields["deliveries"])) for fields in lines) == 200


@pytest.mark.parametrize("jump", [40 * DAY, -40 * DAY], ids=["ahead", "back"])
def test_after_a_jump_of_the_clock_nothing_goes_by_age_until_it_is_back(
    jump: int, db: sqlite3.Connection, clock: Clockwork, told: list[tuple[str, dict[str, object]]]
) -> None:
    history = History(db)
    event = history.event(BEGAN)
    keeper = Keeper(db, clock)
    keeper.run()
    clock.jump(jump)
    keeper.run(HOUR / SECOND)
    assert [(name, fields["jump_seconds"]) for name, fields in told] == [("retention.paused", jump // SECOND)]
    assert keeper.retention.paused == told[0][1]["reason"]
    during = history.event(clock.wall)
    clock.jump(-jump)
    keeper.run(20)
    assert told[1:] == [("retention.resumed", {})]
    assert keeper.retention.paused is None
    assert history.events() == {event, during}


def test_a_clock_that_goes_on_steadily_for_a_day_after_its_jump_is_right(
    db: sqlite3.Connection, clock: Clockwork, told: list[tuple[str, dict[str, object]]]
) -> None:
    history = History(db)
    event = history.event(BEGAN)
    keeper = Keeper(db, clock)
    keeper.run()
    clock.jump(40 * DAY)
    keeper.run()
    clock.advance(DAY - HOUR)
    keeper.run()
    assert history.events() == {event}
    clock.advance(HOUR)
    keeper.run()
    assert [name for name, _ in told] == ["retention.paused", "retention.resumed", "retention.deleted"]
    assert history.events() == set()


@pytest.mark.parametrize("days", [-1, 16])
def test_a_start_whose_clock_is_behind_what_is_stored_or_far_ahead_deletes_nothing_for_a_day(
    days: int, db: sqlite3.Connection, clock: Clockwork, told: list[tuple[str, dict[str, object]]]
) -> None:
    history = History(db)
    old, new = history.event(BEGAN - 40 * DAY), history.event(BEGAN)
    clock.jump(days * DAY)
    keeper = Keeper(db, clock)
    keeper.run(60)
    assert history.events() == {old, new}
    assert [name for name, _ in told] == ["retention.paused"]
    assert keeper.retention.paused is not None
    clock.advance(DAY)
    keeper.run()
    assert history.events() == {new}


def test_a_start_after_a_week_without_events_is_no_jump(
    db: sqlite3.Connection, clock: Clockwork, told: list[tuple[str, dict[str, object]]]
) -> None:
    history = History(db)
    history.event(BEGAN - 40 * DAY)
    new = history.event(BEGAN)
    clock.advance(7 * DAY)
    Keeper(db, clock).run()
    assert history.events() == {new}
    assert [name for name, _ in told] == ["retention.deleted"]


def test_events_of_a_clock_that_was_behind_are_not_older_than_those_before_them(
    db: sqlite3.Connection, clock: Clockwork
) -> None:
    history = History(db)
    first = history.event(BEGAN)
    behind = history.event(BEGAN - 60 * DAY)
    keeper = Keeper(db, clock)
    keeper.run()
    assert history.events() == {first, behind}


def test_events_from_the_future_do_not_keep_what_comes_after_them(db: sqlite3.Connection, clock: Clockwork) -> None:
    history = History(db)
    future = history.event(BEGAN + 4000 * DAY)
    history.event(BEGAN)
    now = history.event(BEGAN + 31 * DAY)
    keeper = Keeper(db, clock)
    clock.advance(31 * DAY)
    keeper.run()
    assert history.events() == {future, now}


def test_a_jump_in_the_midst_of_deleting_is_noticed_before_anything_is_deleted_by_it(
    db: sqlite3.Connection, clock: Clockwork, told: list[tuple[str, dict[str, object]]]
) -> None:
    history = History(db)
    history.many(3000, BEGAN)
    clock.advance(31 * DAY)
    history.many(3000, clock.wall)
    keyed = history.event(clock.wall, key="k")
    keeper = Keeper(db, clock)
    keeper.run(0.3)
    assert 3001 < len(history.events()) < 6001, "it is under way"
    clock.jump(60 * DAY)
    keeper.run(20)
    left = history.events()
    assert len(left) >= 3001
    assert keyed in left
    assert told[0][0] == "retention.paused"


def test_a_step_that_failed_when_all_was_done_may_be_taken_again(
    db: sqlite3.Connection, clock: Clockwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = History(db)
    history.many(1, BEGAN, deliveries=10 * deletion_rate.MOST_ROWS)
    clock.advance(31 * DAY)
    history.event(clock.wall)
    keeper = Keeper(db, clock)
    size = deletion.size

    def disk_fails_once_it_is_hidden(connection: sqlite3.Connection) -> deletion.Size:
        if deletion.hidden(connection):
            monkeypatch.setattr(deletion, "size", size)
            raise sqlite3.OperationalError
        return size(connection)

    monkeypatch.setattr(deletion, "size", disk_fails_once_it_is_hidden)
    failed = False
    while not failed:
        step = keeper.retention.next(clock.steady / SECOND)
        clock.advance(SECOND)
        try:
            done = step() if step else None
        except sqlite3.OperationalError:
            assert step is not None
            failed, done = True, step()
        if done:
            done()
    keeper.run(60)
    assert history.orphans() == 0
    assert len(history.events()) == 1
    assert deletion.hidden(db) is None
