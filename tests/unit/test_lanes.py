from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.persistence.commands import Begun, Claim, CreateTenant, NewEvent, Progress, Publish, Published
from daemon.persistence.lanes import BATCH_ROWS, Lanes
from daemon.persistence.tickets import Spread, Ticket

NOW = 100.0


def ticket(caller: int = 1, *, events: int = 1, deadline: float = NOW + 1) -> Ticket[Any]:
    return Ticket(Publish([NewEvent(caller, "e", b"{}")] * events, batch=True), deadline)


def step(claims: int = 1) -> Ticket[Any]:
    return Ticket(Progress(1, [], [], [Claim(1, claims)]), NOW)


def test_internal_commands_come_before_public_ones() -> None:
    lanes = Lanes()
    public, internal = ticket(), step()
    lanes.put_public(public)
    lanes.put_internal(internal)
    assert lanes.take(NOW) == [internal, public]
    assert not lanes


def test_callers_take_turns() -> None:
    lanes = Lanes()
    first, second, third = ticket(1, events=900), ticket(1, events=900), ticket(2, events=50)
    for one in (first, second, third):
        lanes.put_public(one)
    assert {*lanes.take(NOW)} == {first, third}
    assert lanes.take(NOW) == [second]


def test_a_command_larger_than_a_batch_goes_alone() -> None:
    lanes = Lanes()
    small, large = ticket(1), ticket(2, events=BATCH_ROWS)
    lanes.put_public(small)
    lanes.put_public(large)
    assert lanes.take(NOW) == [small]
    assert lanes.take(NOW) == [large]


def test_a_large_command_is_not_starved_by_steps_that_never_end() -> None:
    lanes = Lanes()
    large = ticket(events=BATCH_ROWS // 2)
    lanes.put_public(large)
    batches: list[list[Ticket[Any]]] = []
    for _ in range(3):
        lanes.put_internal(step())
        batches.append(lanes.take(NOW))
    assert any(large in batch for batch in batches[:2])
    assert sum(len(batch) for batch in batches) + len(lanes.take(NOW)) == 4


def test_steps_that_fill_every_batch_leave_room_for_public_commands() -> None:
    lanes = Lanes()
    small = ticket(events=100)
    for _ in range(2 * BATCH_ROWS // 64):
        lanes.put_internal(step(64))
    lanes.put_public(small)
    assert small in lanes.take(NOW)
    lanes.take(NOW)
    for _ in range(BATCH_ROWS // 64):
        lanes.put_internal(step(64))
    assert sum(one.rows for one in lanes.take(NOW)) > BATCH_ROWS - 64


def test_a_command_weighs_what_its_tenants_last_events_were_delivered_to() -> None:
    lanes = Lanes()
    many = [Published("e", "t", 1, deliveries, False) for deliveries in (3, 50, 50)]
    lanes.learn(ticket().command, many)
    heavy, light = [ticket(1, events=10), ticket(1, events=10)], ticket(2, events=10)
    for one in (*heavy, light):
        lanes.put_public(one)
    assert {*lanes.take(NOW)} == {heavy[0], light}
    assert lanes.take(NOW) == [heavy[1]]


def test_what_fits_does_not_wait_behind_another_callers_large_command() -> None:
    lanes = Lanes()
    flood = [ticket(1, events=BATCH_ROWS) for _ in range(3)]
    small = [ticket(2) for _ in range(8)]
    lanes.put_public(flood[0])
    for one in small:
        lanes.put_public(one)
    for one in flood[1:]:
        lanes.put_public(one)
    lanes.put_internal(step())
    assert lanes.take(NOW)[1:] == small
    assert [lanes.take(NOW) for _ in range(3)] == [[flood[0]], [flood[1]], [flood[2]]]


def test_a_large_command_goes_first_in_the_batch_after_the_one_it_did_not_fit_into() -> None:
    lanes = Lanes()
    large = ticket(1, events=BATCH_ROWS)
    lanes.put_internal(step())
    lanes.put_public(large)
    lanes.put_public(ticket(2))
    assert large not in lanes.take(NOW)
    lanes.put_internal(step())
    lanes.put_public(ticket(2))
    assert lanes.take(NOW) == [large]


@pytest.mark.parametrize("events", [BATCH_ROWS // 2, BATCH_ROWS])
def test_a_step_waits_for_one_large_command_at_most_however_many_there_are(events: int) -> None:
    lanes = Lanes()
    for caller in (1, 2, 3):
        lanes.put_public(ticket(caller, events=events))
    batches: list[list[Ticket[Any]]] = []
    for caller in range(4, 24):
        waiting = step()
        lanes.put_internal(waiting)
        batches.append(lanes.take(NOW))
        if waiting not in batches[-1]:
            batches.append(lanes.take(NOW))
            assert waiting in batches[-1]
        lanes.put_public(ticket(caller, events=events))
    large = [any(one.rows >= BATCH_ROWS for one in batch) for batch in batches]
    assert large.count(True) >= len(large) // 3, "large ones get their turn too"


def test_no_second_large_command_starts_while_another_callers_small_one_waits() -> None:
    lanes = Lanes()
    for caller in (1, 2, 3):
        lanes.put_public(ticket(caller, events=5 * BATCH_ROWS))
    assert len(lanes.take(NOW)) == 1
    small, claim = ticket(4), step()
    lanes.put_public(small)
    assert lanes.take(NOW) == [small]
    lanes.put_internal(claim)  # what a publish is followed by
    assert lanes.take(NOW) == [claim]
    assert len(lanes.take(NOW)) == 1
    assert len(lanes.take(NOW)) == 1
    assert not lanes


def test_small_commands_go_before_a_large_one_whose_turn_it_is() -> None:
    lanes = Lanes()
    large, small = ticket(1, events=BATCH_ROWS), ticket(2)
    lanes.put_public(large)
    lanes.put_public(small)
    assert lanes.take(NOW) == [small]
    lanes.put_public(ticket(2))
    assert lanes.take(NOW) == [large]


def test_a_step_that_fits_beside_no_other_command_is_not_starved() -> None:
    lanes = Lanes()
    waiting = step(BATCH_ROWS)
    lanes.put_public(ticket(1, events=BATCH_ROWS))
    lanes.put_public(ticket(2, events=300))
    lanes.put_public(ticket(3, events=600))
    lanes.take(NOW)
    lanes.put_internal(waiting)
    batches: list[list[Ticket[Any]]] = []
    for caller in range(4, 8):
        lanes.put_public(ticket(caller, events=300))
        batches.append(lanes.take(NOW))
    assert any(waiting in batch for batch in batches[:2])


def test_what_is_abandoned_or_too_late_is_never_taken() -> None:
    lanes = Lanes()
    abandoned, late, good = ticket(1), ticket(2, deadline=NOW), ticket(3)
    abandoned.abandoned = True
    for one in (abandoned, late, good):
        lanes.put_public(one)
    assert lanes.take(NOW) == [good]
    assert not lanes


def test_a_full_public_lane_takes_no_more_until_some_is_taken() -> None:
    lanes = Lanes(capacity=1)
    assert lanes.put_public(ticket())
    assert not lanes.put_public(Ticket(CreateTenant("x", None), NOW + 1))
    lanes.take(NOW)
    assert lanes.put_public(ticket())


def test_what_is_put_back_keeps_its_order_and_its_place_in_front() -> None:
    lanes = Lanes()
    first, second, third = step(), step(), step()
    lanes.put_internal(third)
    lanes.put_back([first, second])
    assert lanes.take(NOW) == [first, second, third]


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 700)), max_size=40))
def test_every_command_is_taken_once_in_its_callers_order_and_no_batch_is_too_large(
    sent: list[tuple[int, int]],
) -> None:
    lanes = Lanes()
    tickets = [ticket(caller, events=events) for caller, events in sent]
    for one in tickets:
        assert lanes.put_public(one)
    taken: list[Ticket[Any]] = []
    while lanes:
        batch = lanes.take(NOW)
        assert len(batch) == 1 or sum(one.rows for one in batch) <= BATCH_ROWS
        taken += batch
    assert sorted(map(id, taken)) == sorted(map(id, tickets))
    for caller in range(1, 5):
        assert [one for one in taken if one.caller == caller] == [one for one in tickets if one.caller == caller]


def fan_out(caller: int = 1) -> Spread:
    """What a publish of so many deliveries is queued as, once its events are on disk."""
    return Spread(ticket(caller), Begun([], caller))


def test_fan_outs_take_turns_one_in_a_batch() -> None:
    lanes = Lanes()
    first, second = fan_out(1), fan_out(2)
    lanes.spread(first)
    lanes.spread(second)
    assert lanes.take(NOW) == [first]
    lanes.spread(first)
    assert lanes.take(NOW) == [second]
    lanes.complete(second)
    assert lanes.take(NOW) == [first]
    lanes.complete(first)
    assert not lanes


def test_after_a_fan_out_come_small_commands_and_steps_as_long_as_they_wait() -> None:
    lanes = Lanes()
    one = fan_out(1)
    lanes.spread(one)
    assert lanes.take(NOW) == [one]
    lanes.spread(one)
    small, claim = ticket(2), step()
    lanes.put_public(small)
    assert lanes.take(NOW) == [small]
    lanes.put_internal(claim)
    assert lanes.take(NOW) == [claim]
    later = ticket(2)
    lanes.put_public(later)
    assert lanes.take(NOW) == [one, later], "steps and small commands without end do not starve it"


def test_fan_outs_and_large_commands_take_turns() -> None:
    lanes = Lanes()
    one, large = fan_out(1), [ticket(caller, events=BATCH_ROWS) for caller in (2, 3, 4)]
    lanes.spread(one)
    for command in large:
        lanes.put_public(command)
    taken: list[Ticket[Any]] = []
    for _ in range(6):
        (long,) = lanes.take(NOW)
        taken.append(long)
        if long is one:
            lanes.spread(one)
    assert taken == [one, large[0], one, large[1], one, large[2]]


def test_a_callers_next_commands_are_held_until_its_last_fan_out_is_complete() -> None:
    lanes = Lanes()
    first, second, before = fan_out(1), fan_out(1), ticket(1)
    lanes.put_public(before)
    lanes.spread(first)
    lanes.spread(second)
    after, other = ticket(1), ticket(2)
    lanes.put_public(after)
    lanes.put_public(other)
    assert lanes.take(NOW) == [first, other]
    lanes.complete(first)
    assert lanes.take(NOW) == [second]
    lanes.complete(second)
    assert lanes.take(NOW) == [before, after]


def test_what_is_held_is_refused_with_the_rest_and_what_was_begun_is_kept() -> None:
    lanes = Lanes()
    one, held = fan_out(1), ticket(1)
    lanes.spread(one)
    lanes.put_public(held)
    assert lanes.take_public() == [held]
    assert lanes.take(NOW) == [one]
    lanes.put_back([one])
    assert lanes.take(NOW) == [one]
    assert [*lanes.spreading] == [one]
    lanes.complete(one)
    assert not lanes


def test_no_more_publishes_spread_at_a_time_than_are_complete_before_their_publishers_patience_ends() -> None:
    lanes = Lanes()
    for caller in range(20):
        lanes.put_public(ticket(caller, events=BATCH_ROWS))
    small = ticket(30)
    spreading: deque[Spread] = deque()
    begun = 0
    for _ in range(100):
        for one in lanes.take(NOW):
            if isinstance(one, Spread):
                spreading.append(one)
            else:
                begun += 1
                lanes.spread(Spread(one, Begun([], begun)))
        if spreading:
            lanes.spread(spreading.popleft())
    assert begun == len(lanes.spreading) == 8
    lanes.put_public(small)
    assert small in lanes.take(NOW)
    lanes.complete(next(iter(lanes.spreading)))
    assert any(not isinstance(one, Spread) for _ in range(4) for one in lanes.take(NOW)), "the next has its turn"


def known(lanes: Lanes, *callers: int, webhooks: int = 100) -> None:
    for caller in callers:
        lanes.learn(ticket(caller).command, [Published("evt", "e", 1, webhooks, False)])


def test_no_batch_begins_more_fan_outs_than_may_be_under_way() -> None:
    lanes = Lanes()
    known(lanes, *range(20))
    for caller in range(20):
        lanes.put_public(ticket(caller, events=6))
    assert len(lanes.take(NOW)) == 8


def test_a_callers_next_commands_are_not_in_the_batch_that_begins_its_fan_out() -> None:
    lanes = Lanes()
    known(lanes, 1)
    first, after, other = ticket(1, events=6), ticket(1), ticket(2)
    for one in (first, after, other):
        lanes.put_public(one)
    assert lanes.take(NOW) == [first, other]
    lanes.spread(Spread(first, Begun([], 1)))
    assert after not in [one for _ in range(5) for one in lanes.take(NOW)]
