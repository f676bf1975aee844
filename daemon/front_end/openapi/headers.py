"""Header fields as OpenAPI has them: of requests as parameters, of answers as header objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.front_end.headers import Header


def header_parameters(headers: Iterable[Header]) -> list[dict[str, Any]]:
    return [{"name": header.name, "in": "header", "required": False, **_said(header)} for header in headers]


def header_objects(headers: Iterable[Header]) -> dict[str, Any]:
    return {header.name: {"required": header.required, **_said(header)} for header in headers}


def _said(header: Header) -> dict[str, Any]:
    return {"description": header.description, "schema": header.schema, "example": header.example}
