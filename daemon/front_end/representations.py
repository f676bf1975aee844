"""What anybody may read and keep: the bytes of a document, and the tag that says whether they are still the same."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.front_end.routing import Reply

if TYPE_CHECKING:
    from werkzeug.datastructures import Headers


class Representation(Struct, frozen=True):
    """`etag` is as it stands in the header (RFC 9110 §8.8.3)."""

    body: bytes
    etag: str


def represented(body: bytes) -> Representation:
    return Representation(body, f'"{blake2b(body, digest_size=8).hexdigest()}"')


def cached_reply(asked: Headers, current: Representation, content_type: str, **headers: str) -> Reply:
    """The document, unless the client has it (RFC 9110 §13.1.2). It may keep it, but asks each time whether it is
    still so: an upgrade changes it."""
    common = {"ETag": current.etag, "Cache-Control": "public, no-cache", **headers}
    known = (one.strip().removeprefix("W/") for one in asked.get("If-None-Match", "").split(","))
    if any(one in (current.etag, "*") for one in known):
        return Reply(304, headers=common)
    return Reply(200, current.body, common, content_type)
