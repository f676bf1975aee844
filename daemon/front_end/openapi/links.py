"""Where the ids in an answer may be used: links from each answer to the operations on what it names.

They follow from types: a field that is one of `IDENTIFIERS` leads to the routes that have it in their path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.front_end.fields import IDENTIFIERS
from daemon.front_end.openapi.operations import VARIABLE, operation_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from daemon.front_end.openapi.schemas import Schemas
    from daemon.front_end.routing import AnyRoute

_COLLECTIONS = {kind.__metadata__[0].extra_json_schema["pattern"]: name for name, kind in IDENTIFIERS.items()}


def links_of(route: AnyRoute, path: str, routes: Iterable[AnyRoute], schemas: Schemas) -> dict[str, Any]:
    """By name, from the good answer of `route` at `path`. Those under a compatibility prefix stay under it."""
    prefix = path.removesuffix(route.path.removeprefix("/v1")) if route.prefixed else "/v1"
    links: dict[str, Any] = {}
    for collection, place in _identifiers(route, schemas):
        for target in routes:
            variables = VARIABLE.findall(target.path)
            if not variables or variables[-1][0] != collection or target is route:
                continue
            known = _known(route, variables[:-1])
            if known is not None:
                there = prefix + target.path.removeprefix("/v1") if target.prefixed else target.path
                name = operation_id(target, there)
                links.setdefault(name, {"operationId": name, "parameters": {**known, variables[-1][1]: place}})
    return links


def _known(route: AnyRoute, outer: list[tuple[str, str]]) -> dict[str, str] | None:
    """Variables that stand before the last: those of the request itself, or None if it has not all of them."""
    own = VARIABLE.findall(route.path)
    return {name: f"$request.path.{name}" for _, name in outer} if all(one in own for one in outer) else None


def _identifiers(route: AnyRoute, schemas: Schemas) -> Iterator[tuple[str, str]]:
    """Collection and runtime expression of each identifier in an answer; of a list, those of its first."""
    for kind in route.responses:
        properties = schemas.properties(kind)
        place = "$response.body#"
        if "data" in properties:
            properties, place = schemas.whole(properties["data"]["items"])["properties"], f"{place}/data/0"
        for name, schema in properties.items():
            collection = _COLLECTIONS.get(schema.get("pattern", ""))
            if collection is not None:
                yield collection, f"{place}/{name}"
