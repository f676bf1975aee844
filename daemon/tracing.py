"""W3C Trace Context (https://www.w3.org/TR/trace-context/): the `traceparent` an event is published with, sent on with
each of its deliveries. Pure.

`tracestate` is neither kept nor sent on, as the recommendation allows: it is the publisher's vendors' own data, and
receivers are other people.
"""

from __future__ import annotations

import re

HEADER = "traceparent"

_FIELDS = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-[!-~]*)?")
_FLAGS = 0b11  # sampled, and random-trace-id of Level 2; others must be sent on as zero


def accepted(header: str | None) -> str | None:
    """What is kept of a request's `traceparent`, as version 00; None for none, and for one that is not valid, which
    must be ignored (§4.3)."""
    match = None if header is None else _FIELDS.fullmatch(header)
    if match is None or (match[1] == "00" and match[5] is not None):
        return None
    return f"00-{match[2]}-{match[3]}-{int(match[4], 16) & _FLAGS:02x}"


def of_attempt(kept: str, delivery: str) -> str:
    """What a receiver is sent: the publisher's trace, with the delivery as the parent. Its parent-id is the last 16
    characters of the delivery's id, which are random: whoever has the one finds the other."""
    return f"{kept[:36]}{delivery[-16:]}{kept[52:]}"
