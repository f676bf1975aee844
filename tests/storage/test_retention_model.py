"""Random histories, held against a few lines that say what may go: nothing that waits or is young ever does, all that
has finished and is old does in the end, and nothing is left pointing nowhere."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from daemon.persistence import deletion, deletion_rate
from daemon.persistence.database import open_writer
from tests.storage.clockwork import DAY, HOUR, SECOND, Clockwork, Keeper
from tests.storage.histories import History

if TYPE_CHECKING:
    import sqlite3

DAYS = 10
KEPT = DAYS * DAY


class Histories(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.db: sqlite3.Connection = open_writer(Path(self.folder.name) / "test.db")
        self.history = History(self.db)
        self.clock = Clockwork()
        self.keeper = Keeper(self.db, self.clock, days=DAYS)
        self.events: dict[int, tuple[int, bool]] = {}
        self.deliveries: dict[int, list[int | None]] = {}
        self.open: list[tuple[int, int, int]] = []
        self.gone: set[int] = set()

    def teardown(self) -> None:
        self.db.close()
        self.folder.cleanup()

    @rule(deliveries=st.integers(0, 3) | st.just(12), keyed=st.booleans())
    def publish(self, deliveries: int, keyed: bool) -> None:
        event = self.history.event(self.clock.wall, key=str(len(self.events)) if keyed else None)
        self.events[event] = self.clock.wall, keyed
        self.deliveries[event] = []
        for _ in range(deliveries):
            self._deliver(event)

    @precondition(lambda self: self.open)
    @rule(choice=st.data(), all_of_it=st.booleans())
    def finish(self, choice: st.DataObject, all_of_it: bool) -> None:
        event = choice.draw(st.sampled_from(self.open))[0]
        for item in [item for item in self.open if item[0] == event][: None if all_of_it else 1]:
            self.open.remove(item)
            self.history.finish(item[1], self.clock.wall)
            self.deliveries[event][item[2]] = self.clock.wall

    @precondition(lambda self: self.events.keys() - self.gone)
    @rule(choice=st.data())
    def redeliver(self, choice: st.DataObject) -> None:
        self._deliver(choice.draw(st.sampled_from(sorted(self.events.keys() - self.gone))))

    @rule(by=st.sampled_from([SECOND, HOUR, DAY, 4 * DAY, 9 * DAY]))
    def time_goes_by(self, by: int) -> None:
        self.clock.advance(by)

    @rule(by=st.sampled_from([-20 * DAY, -2 * HOUR, -SECOND, SECOND, 2 * HOUR, 20 * DAY]))
    def the_clock_jumps(self, by: int) -> None:
        self.clock.jump(by)

    @rule()
    def restart(self) -> None:
        self.keeper = Keeper(self.db, self.clock, days=DAYS)

    @rule(seconds=st.sampled_from([0.001, 0.1, 3]))
    def keep(self, seconds: float) -> None:
        self.keeper.run(seconds)
        for event in self._vanished():
            assert self._may_go(event), f"{event} has gone too early"
            self.gone.add(event)

    @invariant()
    def nothing_points_nowhere(self) -> None:
        hidden = deletion.hidden(self.db)
        orphans = {
            seq
            for (seq,) in self.db.execute(
                "SELECT DISTINCT event FROM deliveries WHERE event NOT IN (SELECT seq FROM events)"
            )
        }
        assert orphans <= {hidden}
        assert hidden not in self.history.events()

    @invariant()
    def an_event_that_is_there_has_all_its_deliveries(self) -> None:
        found = dict(self.db.execute("SELECT event, count(*) FROM deliveries GROUP BY event"))
        for event in self.history.events():
            assert found.get(event, 0) == len(self.deliveries[event])

    @rule()
    def in_the_end_all_that_has_finished_goes(self) -> None:
        for _ in range(4):
            self.clock.advance(max(0, max((self._ended(e) or 0 for e in self.events), default=0) - self.clock.wall))
            self.clock.advance(KEPT + 2 * DAY)
            self.keep(5)
        for event in self.events.keys() - self.gone:
            assert self._ended(event) is None, f"{event} stays though it has finished"
        assert deletion.hidden(self.db) is None

    def _deliver(self, event: int) -> None:
        delivery = self.history.delivery(event, self.clock.wall)
        self.open.append((event, delivery, len(self.deliveries[event])))
        self.deliveries[event].append(None)

    def _vanished(self) -> set[int]:
        return self.events.keys() - self.gone - self.history.events()

    def _ended(self, event: int) -> int | None:
        finished = self.deliveries[event]
        ends = [end for end in finished if end is not None]
        return max([self.events[event][0], *ends]) if len(ends) == len(finished) else None

    def _may_go(self, event: int) -> bool:
        ended = self._ended(event)
        created, keyed = self.events[event]
        wall = self.clock.wall
        return ended is not None and ended <= wall - KEPT and not (keyed and created > wall - DAY)


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deletion_rate, "MOST_ROWS", 8)
    monkeypatch.setattr(deletion_rate, "LEAST_ROWS", 4)


class TestHistories(Histories.TestCase):
    settings = settings(max_examples=100, stateful_step_count=30)
