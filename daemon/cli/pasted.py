"""A delivery as people paste it: header lines out of a log, a terminal or a tool, or the whole request. Pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, cast

from daemon.cli.diagnosis import Received

if TYPE_CHECKING:
    from collections.abc import Mapping

_BLANK_LINE = re.compile(rb"\r?\n[ \t]*\r?\n")
# As curl -v and its like show them: `> webhook-id: evt_…`.
_LINE = re.compile(r"[<>*\s]*\"?([A-Za-z][A-Za-z0-9-]*)\"?\s*:\s*(.*?)\s*")


def split_request(request: bytes) -> tuple[bytes, bytes | None]:
    """Header lines, and the body if there is a blank line."""
    found = _BLANK_LINE.search(request)
    return (request, None) if found is None else (request[: found.start()], request[found.end() :])


def headers(text: str) -> dict[str, str]:
    """By lower-case name; repeated ones as one list (RFC 9110 §5.3). A JSON object of them is taken too."""
    try:
        document = cast("object", json.loads(text))
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict):
        return {name.lower(): str(value) for name, value in cast("dict[str, object]", document).items()}
    found: dict[str, str] = {}
    for line in text.splitlines():
        if match := _LINE.fullmatch(line):
            name = match[1].lower()
            found[name] = f"{found[name]}, {match[2]}" if name in found else match[2]
    return found


def received(fields: Mapping[str, str], body: bytes) -> Received:
    """The headers of the specification, or those that Svix's libraries know them by."""
    id, timestamp, signature = (
        fields.get(f"webhook-{name}", fields.get(f"svix-{name}")) for name in ("id", "timestamp", "signature")
    )
    length = fields.get("content-length", "")
    whole = length.isascii() and length.isdigit() and len(length) < 19
    return Received(id, timestamp, signature, body, int(length) if whole else None)
