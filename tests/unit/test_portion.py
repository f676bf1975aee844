"""Long work on the event loop lets others have their turn by how much there is of it."""

from __future__ import annotations

import pytest
import trio

from daemon.event_types.weight import weight
from daemon.front_end.portion import Portion


class Steps(trio.abc.Instrument):
    """How often a task was given its turn."""

    def __init__(self, task: trio.lowlevel.Task) -> None:
        self.task = task
        self.count = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += task is self.task


@pytest.mark.parametrize(
    ("text", "events", "turns"),
    [
        (b"{" + b" " * 400 + b"}", 100, range(1)),
        (b"{" + b" " * 40_000 + b"}", 10, range(9, 11)),
        (b'{"n":[' + b",".join([b"{}"] * 400) + b"]}", 10, range(4, 11)),
        (b"[]", 10_000, range(6, 20)),
    ],
    ids=["little", "bytes", "values", "very many"],
)
async def test_others_have_their_turn_after_as_much_as_takes_a_moment(text: bytes, events: int, turns: range) -> None:
    steps = Steps(trio.lowlevel.current_task())
    trio.lowlevel.add_instrument(steps)
    portion = Portion()
    for _ in range(events):
        await portion.about_to(weight(text))
    trio.lowlevel.remove_instrument(steps)
    assert steps.count in turns
