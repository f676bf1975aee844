"""What it costs to read and check a JSON text, told by its bytes alone, before anything is read."""

from __future__ import annotations

_VALUE = 32  # bytes of a string that cost as much as one value
_LONG = 16_384  # at most about half a millisecond


def values(text: bytes) -> int:
    """At least as many as it holds."""
    return text.count(b",") + text.count(b"[") + text.count(b"{")


def weight(text: bytes) -> int:
    """About 30 ns of work each."""
    return len(text) + _VALUE * values(text)


def is_long(text: bytes) -> bool:
    """Whether it belongs in a thread."""
    return weight(text) > _LONG
