"""What a request may call itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.front_end.request_id import request_id


@pytest.mark.parametrize("own", ["a", "x" * 128, "550e8400-e29b-41d4-a716-446655440000", "a/b:c=d+e@f~g.h|i;j,k"])
def test_a_harmless_one_is_kept(own: str) -> None:
    assert request_id(own) == own


@pytest.mark.parametrize("own", [None, "", "x" * 129, "a b", 'a"b', "a\\b", "<a>", "{a}", "a\n", "a\x1b[2J", "ä"])
def test_another_is_made_for_none_and_for_one_that_could_break_a_log(own: str | None) -> None:
    made = request_id(own)
    assert made.startswith("req_")
    assert made != request_id(own)


@given(st.text())
def test_it_is_always_short_and_visible(own: str) -> None:
    made = request_id(own)
    assert 1 <= len(made) <= 128
    assert all("!" <= character <= "~" and character not in "\"\\<>{}'`()[]" for character in made)
