"""Turns go round the owners, and round the things of each."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from daemon.persistence.rotation import Rotation


@given(st.dictionaries(st.integers(0, 9), st.integers(1, 50), min_size=1), st.integers(1, 20))
def test_nobody_gets_a_turn_more_than_anothers_however_many_things_one_has(has: dict[int, int], rounds: int) -> None:
    rotation = Rotation[tuple[int, int]]()
    for owner, count in has.items():
        for thing in range(count):
            rotation.put(owner, (owner, thing))
    turns, things = Counter[int](), Counter[tuple[int, int]]()
    for _ in range(rounds * len(has)):
        thing = rotation.turn()
        rotation.discard(thing[0], thing)
        rotation.put(thing[0], thing)
        turns[thing[0]] += 1
        things[thing] += 1
    assert set(turns.values()) == {rounds}
    for owner, count in has.items():
        each = [things[owner, thing] for thing in range(count)]
        assert max(each) - min(each) <= 1


def test_what_is_discarded_gets_no_turn_and_what_is_put_twice_is_there_once() -> None:
    rotation = Rotation[str]()
    for thing in ("a", "a", "b"):
        rotation.put(1, thing)
    rotation.discard(1, "a")
    rotation.discard(2, "c")
    assert rotation.turn() == "b"
    rotation.discard(1, "b")
    assert not rotation
