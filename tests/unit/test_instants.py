"""Times as people give them: the way that skips the work for a time in our own form agrees with the way that does it."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.instants import normalised


@given(st.datetimes())
def test_a_time_in_our_form_is_kept_as_the_same_time_in_another_zone_would_be_written(at: datetime) -> None:
    text = at.isoformat()[:19]
    assert normalised(f"{text}Z") == f"{text}Z" == normalised(f"{text}+00:00")


@pytest.mark.parametrize("clock", ["2025-02-30T11:00:00", "2025-02-28T24:00:00", "0000-01-01T00:00:00"])
def test_a_time_that_does_not_exist_is_refused_in_our_form_too(clock: str) -> None:
    with pytest.raises(ValueError, match="Not a time that exists"):
        normalised(f"{clock}Z")
