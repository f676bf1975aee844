"""What is wrong with a value, and where."""

from __future__ import annotations

from msgspec import Struct

Path = tuple[str | int, ...]


class Fault(Struct, frozen=True):
    """`detail` is a sentence without subject and full stop; it repeats no value."""

    path: Path
    detail: str
