"""Whose step comes next: one tenant's recoveries keep no other's waiting, and nobody asks in vain for what is woken."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from daemon.persistence.commands import ForgetRecoveries, RecoveryStep
from daemon.persistence.database import open_writer
from daemon.persistence.lanes import Lanes
from daemon.persistence.recovery_changes import Lane, RecoveryChanges, Turn
from daemon.persistence.recovery_turns import RecoveryTurns
from daemon.persistence.registry import Registry
from daemon.persistence.space import FreeSpace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MANY = [Lane(recovery, webhook) for recovery in range(1, 11) for webhook in range(1, 101)]
OTHER = Lane(11, 1001)


class Writer:
    """Takes the steps at a clock of its own; `next_of` says how each ends."""

    def __init__(self, path: Path) -> None:
        self._connection = open_writer(path)
        self.turns = RecoveryTurns(self._connection)
        self.now = time.monotonic()
        self.taken: list[tuple[float, Lane]] = []
        self._lanes, self._space = Lanes(), FreeSpace(path, 0)

    def close(self) -> None:
        self._connection.close()

    def commit(self, **changes: object) -> None:
        made = RecoveryChanges()
        for name, value in changes.items():
            setattr(made, name, value)
        self.turns.committed(self.now, made, Registry())

    def run(self, seconds: float, next_of: Callable[[Lane], str]) -> list[Lane]:
        """The lanes whose steps were taken meanwhile."""
        end, taken = self.now + seconds, list[Lane]()
        while (pause := self.turns.pause(self.now)) <= end - self.now:
            self.now += pause + 1e-6
            self.turns.queue(self.now, self._lanes, self._space)
            for ticket in self._lanes.take(self.now):
                if isinstance(ticket.command, ForgetRecoveries):
                    ticket.answer(None)
                    continue
                assert isinstance(ticket.command, RecoveryStep)
                lane = Lane(ticket.command.recovery, ticket.command.webhook)
                taken.append(lane)
                ticket.answer(None)
                self.commit(turns=[Turn(lane, next_of(lane))])
        self.now = end
        return taken


@pytest.fixture
def writer(path: Path) -> Iterator[Writer]:
    with closing(Writer(path)) as made:
        yield made


@pytest.mark.parametrize("busy", ["now", "later"])
def test_a_thousand_lanes_of_one_tenant_cost_another_half_of_the_steps_at_most(writer: Writer, busy: str) -> None:
    writer.commit(opened=dict.fromkeys(MANY, 1))
    writer.run(30, lambda _: busy)
    writer.commit(opened={OTHER: 2})
    taken = writer.run(10, lambda lane: "now" if lane == OTHER else busy)
    assert taken.index(OTHER) <= 1
    assert taken.count(OTHER) >= 0.45 * len(taken)
    assert len(taken) > 300


def test_what_is_opened_or_woken_comes_before_what_only_looks_again_which_still_gets_its_turns(writer: Writer) -> None:
    writer.commit(opened=dict.fromkeys(MANY, 1))
    writer.run(60, lambda _: "later")
    writer.commit(opened={OTHER: 1}, woken=[MANY[500]])
    taken = writer.run(10, lambda lane: "now" if lane == OTHER else "woken" if lane == MANY[500] else "later")
    assert {OTHER, MANY[500]} <= set(taken[:4])
    assert 0.7 <= taken.count(OTHER) / len(taken) <= 0.8


def test_a_lane_whose_deliveries_are_under_way_takes_no_step_until_it_or_its_tenant_is_woken(writer: Writer) -> None:
    writer.commit(opened={**dict.fromkeys(MANY, 1), OTHER: 2})
    writer.run(60, lambda _: "woken")
    assert writer.run(300, lambda _: "woken") == []
    writer.commit(woken=[MANY[3], Lane(99, 99)])
    assert writer.run(300, lambda _: "woken") == [MANY[3]]
    writer.commit(woken_tenants=[2])
    assert writer.run(300, lambda _: "woken") == [OTHER]
    assert writer.turns.running == 11


def test_one_woken_in_the_transaction_of_its_step_takes_another(writer: Writer) -> None:
    writer.commit(opened={OTHER: 2})
    writer.run(1, lambda _: "woken")
    writer.commit(turns=[Turn(OTHER, "woken")], woken=[OTHER])
    assert writer.run(1, lambda _: "over") == [OTHER]
    assert writer.turns.running == 0


def test_a_step_that_the_storage_did_not_take_is_asked_for_again(writer: Writer) -> None:
    writer.commit(opened={OTHER: 2})
    lanes, space = writer._lanes, writer._space
    for _ in range(2):
        writer.now += 1
        writer.turns.queue(writer.now, lanes, space)
        (ticket,) = lanes.take(writer.now)
        lanes.put_back([ticket])
    assert writer.run(1, lambda _: "over") == [OTHER]
