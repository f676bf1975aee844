from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.delivery.beat import BEAT, next_beat


@given(st.floats(0, 1e9))
def test_a_beat_comes_within_one_beats_time_and_all_agree_on_it(instant: float) -> None:
    beat = next_beat(instant)
    assert instant - 1e-6 <= beat <= instant + BEAT + 1e-6
    assert abs(beat / BEAT - round(beat / BEAT)) < 1e-4
    assert next_beat(beat - BEAT / 2) == beat
