"""Answers that are problems: which of them a route may give, by status, as reusable responses."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import msgspec

from daemon.front_end.catalogue import KINDS
from daemon.front_end.decoding import NO_BODY
from daemon.front_end.headers import ALLOW, OF_EVERY_ANSWER, RETRY_AFTER, WWW_AUTHENTICATE
from daemon.front_end.openapi.headers import header_objects
from daemon.front_end.problems import CONTENT_TYPE, ProblemDocument

if TYPE_CHECKING:
    from daemon.front_end.catalogue import Kind
    from daemon.front_end.openapi.schemas import Schema
    from daemon.front_end.routing import AnyRoute

_MALFORMED = {
    400: "The request is not well-formed HTTP/1.1; the connection is closed.",
    408: "The head or the body did not arrive in time; the connection is closed.",
    431: "The head of the request is over 16 KiB; the connection is closed.",
    501: "The Transfer-Encoding is not known; the connection is closed.",
}
"""What a request is answered that no route has seen: problems of the type `invalid`."""


def slugs_of(route: AnyRoute) -> list[str]:
    """Every problem that a route may answer with, in the catalogue's order."""
    slugs = {"invalid", "internal", *route.problems}
    if route.body is not NO_BODY:
        slugs |= {"not-json", "too-large", "unsupported-media-type"}
    if "{" in route.path or "tenant" in route.query.__struct_fields__:
        slugs.add("not-found")
    if route.access != "open":
        slugs |= {"unauthorized", "forbidden", "storage-unavailable"}
        if route.access != "operator":
            slugs |= {"backlog-full", "rate-limited"}
        if route.method != "GET":
            slugs |= {"draining", "outcome-unknown"}
    return [slug for slug in KINDS if slug in slugs]


def responses_of(route: AnyRoute, components: dict[str, Any]) -> dict[str, Any]:
    """By status, references to responses in `components`, to which they are added."""
    kinds = sorted((KINDS[slug] for slug in slugs_of(route)), key=lambda kind: kind.status)
    found = {status: list(group) for status, group in groupby(kinds, key=lambda kind: kind.status)}
    return {
        str(status): {"$ref": f"#/components/responses/{_component(status, found.get(status, []), components)}"}
        for status in sorted({*found, *_MALFORMED})
    }


def example_of(kind: Kind) -> dict[str, Any]:
    """A problem document of this kind as a client may get it."""
    example = ProblemDocument(kind.type, kind.title, kind.status, kind.example, kind.example_errors)
    return msgspec.to_builtins(example)


def _component(status: int, kinds: list[Kind], components: dict[str, Any]) -> str:
    name = "-or-".join(kind.slug for kind in kinds)
    name = f"{status}-{name}" if name else f"{status}"
    components.setdefault(name, response(status, kinds))
    return name


def response(status: int, kinds: list[Kind]) -> Schema:
    """The answers of one status, which are problems of these kinds."""
    types = [kind.type for kind in kinds]
    described = [f"[{kind.title}]({kind.type}): {kind.meaning}" for kind in kinds]
    if status in _MALFORMED:
        types.append(KINDS["invalid"].type)
        described.append(_MALFORMED[status])
    headers = OF_EVERY_ANSWER
    headers += (WWW_AUTHENTICATE,) if status == 401 else (ALLOW,) if status == 405 else ()
    headers += (RETRY_AFTER,) if kinds and all(kind.retry_after is not None for kind in kinds) else ()
    made: Schema = {
        "description": " ".join(described),
        "content": {
            CONTENT_TYPE: {
                "schema": {
                    "$ref": "#/components/schemas/Problem",
                    "properties": {"type": {"enum": list(dict.fromkeys(types))}, "status": {"const": status}},
                },
                "examples": {kind.slug: {"summary": kind.title, "value": example_of(kind)} for kind in kinds},
            }
        },
    }
    if not kinds:
        del made["content"][CONTENT_TYPE]["examples"]
    return made | ({"headers": header_objects(headers)} if headers else {})
