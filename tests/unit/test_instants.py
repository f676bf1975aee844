"""A time in our own form takes a shorter way: it must come to the same as the long one."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.instants import are_normal, normalised

LIKE_OURS = r"[0-9]{4}-[0-3][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9]Z"


@given(st.datetimes())
def test_a_time_in_our_form_is_kept_as_the_same_time_in_another_zone_would_be_written(at: datetime) -> None:
    text = at.isoformat()[:19]
    assert normalised(f"{text}Z") == f"{text}Z" == normalised(f"{text}+00:00")


@given(st.datetimes().map(lambda at: f"{at.isoformat()[:19]}Z") | st.from_regex(LIKE_OURS, fullmatch=True) | st.text())
def test_what_is_normal_is_a_time_in_utc_to_the_second(text: str) -> None:
    if are_normal([text]):
        assert datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").isoformat() + "Z" == text


@pytest.mark.parametrize("odd", ["", "2025-10-21T11:00:00+00:00", "2025-10-21T11:00:00.0Z", "2025-10-21T11:00:00Z\n"])
def test_one_that_is_not_normal_is_found_among_others(odd: str) -> None:
    normal = ["2025-10-21T11:00:00Z", "2025-02-28T23:59:59Z"]
    assert are_normal([])
    assert are_normal(normal)
    assert not are_normal([*normal, odd])
    assert not are_normal([odd, *normal])


@pytest.mark.parametrize("clock", ["2025-02-30T11:00:00", "2025-02-28T24:00:00", "0000-01-01T00:00:00"])
def test_a_time_that_does_not_exist_is_refused_in_our_form_too(clock: str) -> None:
    with pytest.raises(ValueError, match="Not a time that exists"):
        normalised(f"{clock}Z")
