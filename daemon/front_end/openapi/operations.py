"""One route as one operation."""

from __future__ import annotations

import inspect
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from daemon.front_end.decoding import NO_BODY
from daemon.front_end.fields import IDENTIFIERS
from daemon.front_end.headers import ETAG, LINK, OF_EVERY_ANSWER, OF_EVERY_REQUEST
from daemon.front_end.openapi.examples import example
from daemon.front_end.openapi.headers import header_objects, header_parameters
from daemon.front_end.openapi.problems import responses_of
from daemon.front_end.query import Page
from daemon.settings import ServerSettings

if TYPE_CHECKING:
    from daemon.front_end.openapi.schemas import Schema, Schemas
    from daemon.front_end.routing import AnyRoute

VARIABLE = re.compile(r"/([a-z-]+)/\{(\w+)\}")
"""A collection and the variable that stands for one of it."""

_ACCESS = {
    "open": "Needs no token.",
    "operator": "Needs the operator's token.",
    "manage_webhooks": "Needs a token with the permission `manage_webhooks`, or the operator's.",
    "publish_events": "Needs a token with the permission `publish_events`, or the operator's.",
    "either": "Needs a token of the tenant, with either permission, or the operator's.",
}


def operation(route: AnyRoute, path: str, schemas: Schemas, responses: dict[str, Any]) -> dict[str, Any]:
    """`path` is one of those that the route answers to. Reusable `responses` are added to those."""
    summary, description = words_of(route)
    made: dict[str, Any] = {
        "tags": [tag_of(route)],
        "operationId": operation_id(route, path),
        "summary": summary,
        "description": "\n\n".join(filter(None, (description, _ACCESS[route.access]))),
        "security": security_of(route),
        "parameters": [
            *_in_path(route),
            *_in_query(route, schemas),
            *header_parameters(route.takes + OF_EVERY_REQUEST),
        ],
        "responses": {str(route.status): _good(route, schemas), **responses_of(route, responses)},
    }
    if ETAG in route.gives:
        made["responses"]["304"] = {
            "description": "You have it.",
            "headers": header_objects(route.gives + OF_EVERY_ANSWER),
        }
    if route.body is not NO_BODY:
        made["requestBody"] = {
            "description": _bound(route),
            "required": route.body.required,
            "content": _content(route.body.types, schemas, sent=True),
        }
    return made


def _bound(route: AnyRoute) -> str:
    if route.body_bytes is None:
        usual = ServerSettings().max_body_bytes
        return f"At most server.max_body_bytes bytes: {usual}, unless the daemon is configured otherwise."
    return f"At most {route.body_bytes} bytes, or server.max_body_bytes where that is less."


def words_of(route: AnyRoute) -> tuple[str, str]:
    """Summary and description: the docstring of the handler. Empty if it has none."""
    summary, _, rest = inspect.cleandoc(route.handler.__doc__ or "").partition("\n\n")
    paragraphs = [" ".join(paragraph.split()) for paragraph in rest.split("\n\n")]
    return " ".join(summary.split()).removesuffix("."), "\n\n".join(paragraphs).strip()


def tag_of(route: AnyRoute) -> str:
    """The file that a route is in."""
    return route.handler.__module__.rpartition(".")[2]


def operation_id(route: AnyRoute, path: str) -> str:
    """That of the compatibility prefixes says under which."""
    return route.name if path == route.path else f"{route.name}Under{path.split('/')[2].capitalize()}"


def security_of(route: AnyRoute) -> list[dict[str, list[str]]]:
    operator: dict[str, list[str]] = {"operatorToken": []}
    if route.access == "open":
        return []
    if route.access == "operator":
        return [operator]
    wanted = ("manage_webhooks", "publish_events") if route.access == "either" else (route.access,)
    return [*({"tenantToken": [permission]} for permission in wanted), operator]


def _in_path(route: AnyRoute) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = []
    for collection, name in VARIABLE.findall(route.path):
        said = IDENTIFIERS[collection].__metadata__[0]
        schema: Schema = {"type": "string", **said.extra_json_schema}
        parameter: dict[str, Any] = {
            "name": name,
            "in": "path",
            "required": True,
            "description": said.description,
            "schema": schema,
        }
        parameters.append({**parameter, "example": said.examples[0]})
    return parameters


def _in_query(route: AnyRoute, schemas: Schemas) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = []
    for name, schema in schemas.properties(route.query).items():
        said = {key: part for key, part in schema.items() if key not in ("description", "examples")}
        said = _without_null(said)
        made = {"name": name, "in": "query", "required": False, "description": schema.get("description", "")}
        examples = {"example": schema["examples"][0]} if "examples" in schema else {}
        parameters.append({**made, "schema": said, **examples})
    return parameters


def _without_null(schema: Schema) -> Schema:
    """A query cannot say null: there it is left out."""
    kinds = [kind for kind in schema.get("type", ()) if kind != "null"]
    plain = {**schema, "type": kinds[0]} if isinstance(schema.get("type"), list) else schema
    return {**plain, "enum": [one for one in plain["enum"] if one is not None]} if "enum" in plain else plain


def _good(route: AnyRoute, schemas: Schemas) -> dict[str, Any]:
    response: dict[str, Any] = {"description": HTTPStatus(route.status).phrase}
    link = (LINK,) if issubclass(route.query, Page) else ()
    if headers := route.gives + link + OF_EVERY_ANSWER:
        response["headers"] = header_objects(headers)
    if route.responses:
        response["content"] = _content(route.responses, schemas)
    elif route.media is not None:
        kind = "object" if route.media == "application/json" else "string"
        response["content"] = {route.media: {"schema": {"type": kind}}}
    return response


def _content(kinds: tuple[Any, ...], schemas: Schemas, *, sent: bool = False) -> dict[str, Any]:
    made = [schemas.of(kind) for kind in kinds]
    if len(made) == 1:
        return {"application/json": {"schema": made[0], "example": example(made[0], schemas, sent=sent)}}
    names = [one["$ref"].rpartition("/")[2] for one in made]
    examples = {name: {"value": example(one, schemas, sent=sent)} for name, one in zip(names, made, strict=True)}
    return {"application/json": {"schema": {"anyOf": made}, "examples": examples}}
