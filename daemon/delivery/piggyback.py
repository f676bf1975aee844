"""Steps that can wait travel in a commit that is made for others anyway (as an acknowledgement does in TCP, RFC 9293
§3.8.6.3): they cost less there, and nobody waits for a commit that is theirs alone."""

from __future__ import annotations

from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Generator

_AT_ONCE = 4
"""How many come along with one commit: what they wait for is not urgent, what the others do may be."""


class Patient(Protocol):
    def hurry(self) -> None:
        """Take the step now. Never blocks."""
        ...


class Piggyback:
    """Who has a step that can wait, the longest waiting first."""

    def __init__(self) -> None:
        self._waiting: dict[Patient, None] = {}

    @contextmanager
    def waiting(self, patient: Patient) -> Generator[None]:
        """Inside, it may be called; once."""
        self._waiting[patient] = None
        try:
            yield
        finally:
            self._waiting.pop(patient, None)

    def call(self) -> bool:
        """A commit is about to be made: a few may come along. Whether there are any."""
        called = list(islice(self._waiting, _AT_ONCE))
        for patient in called:
            del self._waiting[patient]
            patient.hurry()
        return bool(called)
