"""What it costs to read and check a JSON text, told by its bytes alone, before anything is read."""

from __future__ import annotations

_VALUE = 32  # bytes of a string that cost as much as one value
_LONG = 32_768  # an ordinary one takes about a third of a millisecond


def values(text: bytes) -> int:
    """At least as many as it holds, itself aside."""
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def weight(text: bytes) -> int:
    """About 10 to 20 ns of work each."""
    return len(text) + _VALUE * values(text)


def is_long(text: bytes) -> bool:
    """Whether it belongs in a thread."""
    return weight(text) > _LONG
