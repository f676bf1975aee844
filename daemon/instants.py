"""RFC 3339 both ways. Ours are printed in UTC; given ones keep second precision if they had no fraction."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Python takes +02:60 for +03:00; RFC 3339 §5.6 does not.
_OFFSET = r"[+-](?:[01]\d|2[0-3]):[0-5]\d"
# Every year but 0 has these days; the others of a month have to be looked at.
_OURS = re.compile(
    r"(?!0000)\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\dZ", re.ASCII
)
_RFC3339 = re.compile(rf"\d{{4}}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|{_OFFSET})?", re.ASCII)


@lru_cache(256)  # a batch has one moment, and so has all that is told of it
def rfc3339(at: int, *, digits: int = 3) -> str:
    """`at` (milliseconds since the epoch) as `…T…Z` with 0 or 3 digits of fraction."""
    text = (_EPOCH + timedelta(milliseconds=at)).isoformat()[:19]
    return f"{text}.{at % 1000:03d}Z" if digits else f"{text}Z"


def are_normal(texts: Iterable[str]) -> bool:
    """Whether `normalised` would change none of them. It may say no of days that not every month has."""
    return all(map(_OURS.fullmatch, texts))


def normalised(text: str) -> str:
    """A given instant in UTC: to the second if it had no fraction, else cut to three digits (CONTRACT §7).

    Raises ValueError, worded for the person who sent it."""
    if _OURS.fullmatch(text) is not None:
        return text  # the common case, for a tenth of the price
    at, fraction = _parse(text)
    stamp = at.isoformat()[:19]
    return f"{stamp}.{fraction[:3]:0<3}Z" if fraction else f"{stamp}Z"


def parse_instant(text: str) -> int:
    """A given instant as milliseconds since the epoch, cut, not rounded. Raises ValueError as `normalised` does."""
    at, fraction = _parse(text)
    return (at - _EPOCH) // timedelta(seconds=1) * 1000 + int(f"{fraction[:3]:0<3}" if fraction else 0)


def _parse(text: str) -> tuple[datetime, str]:
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError("Expected an RFC 3339 time such as 2025-10-21T11:00:00Z")
    if match[2] is None:
        raise ValueError("The time has no zone: end it with Z or an offset such as +02:00")
    fraction: str = match[1] or ""
    plain = text.replace(fraction, "", 1) if fraction else text
    try:
        return datetime.fromisoformat(plain.upper()).astimezone(UTC), fraction[1:]
    except (ValueError, OverflowError) as error:
        raise ValueError(f"Not a time that exists in UTC between the years 1 and 9999: {error}") from None
