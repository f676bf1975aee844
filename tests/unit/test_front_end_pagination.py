"""Cursors: only ours, only for their list, and telling nothing."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.front_end.pagination import BadCursor, seal, unseal

KEY = bytes(range(32))
seqs = st.integers(min_value=0, max_value=2**63 - 1)


@given(seqs, st.text())
def test_a_cursor_gives_back_its_place(seq: int, scope: str) -> None:
    try:
        scope.encode()
    except UnicodeEncodeError:
        return
    assert unseal(KEY, scope, seal(KEY, scope, seq)) == seq


@given(seqs, st.data())
def test_a_cursor_changed_anywhere_is_refused(seq: int, data: st.DataObject) -> None:
    cursor = seal(KEY, "deliveries 1 None", seq)
    at = data.draw(st.integers(0, len(cursor) - 1))
    other = data.draw(st.characters().filter(lambda character: character != cursor[at]))
    with pytest.raises(BadCursor):
        unseal(KEY, "deliveries 1 None", cursor[:at] + other + cursor[at + 1 :])


@given(st.text())
def test_no_text_passes_for_a_cursor(text: str) -> None:
    with pytest.raises(BadCursor):
        unseal(KEY, "tenants", text)


@pytest.mark.parametrize("scope", ["deliveries 2 None", "deliveries 1 7", "webhooks 1", ""])
def test_a_cursor_of_another_list_or_tenant_is_refused(scope: str) -> None:
    with pytest.raises(BadCursor):
        unseal(KEY, scope, seal(KEY, "deliveries 1 None", 5))


def test_a_cursor_of_another_database_is_refused() -> None:
    with pytest.raises(BadCursor):
        unseal(bytes(32), "tenants", seal(KEY, "tenants", 5))


def test_padding_and_the_other_alphabet_are_not_second_spellings() -> None:
    cursor = seal(KEY, "tenants", 5)
    for spelling in (cursor + "=", cursor + "\n", " " + cursor):
        with pytest.raises(BadCursor):
            unseal(KEY, "tenants", spelling)


def test_neighbouring_places_cannot_be_told_from_their_cursors() -> None:
    cursors = [base64.urlsafe_b64decode(seal(KEY, "tenants", seq) + "=") for seq in (5, 5, 6)]
    assert len({cursor[8:16] for cursor in cursors}) == 3
    assert not any((5).to_bytes(8, "big") in cursor for cursor in cursors)
