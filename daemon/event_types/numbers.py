"""What the numbers of one subject may cost its schema: jsonschema-rs compares them exactly, with an exponent written
out, and lets no other thread run before it has done all of them.

On a core of 2026, `multipleOf` takes about 1 µs for a number of 10 digits and 10 µs for one of 100: 15 ms at most for
what is let through here. Unbounded, a list of 1e4000 took seconds.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, cast

from daemon.event_types.faults import Fault

if TYPE_CHECKING:
    from daemon.event_types.faults import Path

MOST_DIGITS = 100
MOST_NUMBERS = 10_000

_USUAL = 10  # digits; a number with fewer costs as much
_MOST = _USUAL * MOST_NUMBERS  # digits of all
# A text with its digits all the same shows by its runs whether it may hold a long number, or an exponent to write out.
_SHAPE = bytes.maketrans(b"123456789.E", b"0000000000e")
_RUN = b"0" * 90
_POWER = re.compile(rb"[0-9][eE][+-]?[0-9]{2,}\s*[,}\]]")  # of ids in strings, few look like that

_TOO_LONG = f"has more than {MOST_DIGITS} digits when written without an exponent; send it as a string"
_TOO_MANY = (
    f"holds too many numbers for its schema: {MOST_NUMBERS} may have up to {_USUAL} digits, fewer if they are longer; "
    "send fewer, or some as strings"
)


def costly(value: dict[str, object], text: bytes, values: int) -> Fault | None:
    """What makes `value`, read from `text`, cost too much to check; `values` is how many it holds at most. Looks at
    each number only where the text lets it seem possible."""
    if values * _USUAL + len(text) <= _MOST and not _striking(text):
        return None
    total = 0
    waiting: list[tuple[Path, object]] = [((), value)]
    while waiting:
        path, outer = waiting.pop()
        if isinstance(outer, dict):
            parts = cast("dict[str | int, object]", outer).items()
        else:
            parts = enumerate(cast("list[object]", outer))
        for step, part in parts:
            if isinstance(part, dict | list):
                waiting.append(((*path, step), cast("object", part)))
                continue
            digits = _digits(part)
            if digits > MOST_DIGITS:
                return Fault((*path, step), _TOO_LONG)
            total += digits and max(_USUAL, digits)
            if total > _MOST:
                return Fault((), _TOO_MANY)
    return None


def _striking(text: bytes) -> bool:
    shape = text.translate(_SHAPE, b"+-")
    return _RUN in shape or (b"0e00" in shape and _POWER.search(text) is not None)


def _digits(part: object) -> int:
    """How many a number has when written without an exponent; 0 if it is none."""
    if type(part) is int:
        return len(str(abs(part)))
    if type(part) is not Decimal:
        return 0
    _, digits, exponent = part.as_tuple()
    exponent = cast("int", exponent)  # JSON has no infinity
    return max(len(digits) + exponent, 1) + max(-exponent, 0)
