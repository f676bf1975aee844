"""A time in our own form takes a shorter way: it must come to the same as the long one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.instants import are_normal, normalised

if TYPE_CHECKING:
    from datetime import datetime


@given(st.datetimes())
def test_a_time_in_our_form_is_kept_as_the_same_time_in_another_zone_would_be_written(at: datetime) -> None:
    text = at.isoformat()[:19]
    assert normalised(f"{text}Z") == f"{text}Z" == normalised(f"{text}+00:00")


@given(st.lists(st.datetimes().map(lambda at: f"{at.isoformat()[:19]}Z")), st.text())
def test_times_that_are_normal_are_what_they_would_be_made(texts: list[str], other: str) -> None:
    if are_normal(texts):
        assert [normalised(text) for text in texts] == texts
    assert not are_normal([*texts, other])


@pytest.mark.parametrize("clock", ["2025-02-30T11:00:00", "2025-02-28T24:00:00", "0000-01-01T00:00:00"])
def test_a_time_that_does_not_exist_is_refused_in_our_form_too(clock: str) -> None:
    with pytest.raises(ValueError, match="Not a time that exists"):
        normalised(f"{clock}Z")
