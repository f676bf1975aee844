"""The whole document, and its bytes as they are served."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec

from daemon import __version__
from daemon.front_end.catalogue import KINDS
from daemon.front_end.openapi.deliveries import SENT, webhooks
from daemon.front_end.openapi.event_types import add_event_types
from daemon.front_end.openapi.links import links_of
from daemon.front_end.openapi.operations import operation, tag_of
from daemon.front_end.openapi.problems import response
from daemon.front_end.openapi.schemas import Schemas
from daemon.front_end.problems import ProblemDocument
from daemon.front_end.routing import paths_of

if TYPE_CHECKING:
    from daemon.event_types.catalogue import Catalogue
    from daemon.front_end.routing import AnyRoute

_DESCRIPTION = """\
Publish events of a tenant; each makes exactly one signed POST to every active webhook of that tenant that wants it.

Requests carry `Authorization: Bearer <token>`. Bodies are JSON with names in camelCase; times are RFC 3339. In \
requests, null stands for left out, and a field or parameter that is not known is refused. Lists are newest first and \
stable while rows are added: `next` is the `cursor` of the next page.

Every error is a problem document (RFC 9457); its `type` is the path of [a page](/problems) that says what to change. \
503 means that nothing was stored: try again after `Retry-After` seconds. A path or method that does not exist is 404, \
or 405 with `Allow`, before anything else is looked at; what answers GET answers HEAD.

Webhook routes also answer, identically, under `/v1/tenant/webhooks` and `/v1/onboard/webhooks`. Where operators' \
routes or /metrics have addresses of their own (`server.admin_bind`, `server.observe_bind`), they answer only there."""

_TOKEN = {"type": "http", "scheme": "bearer"}
_SECURITY = {
    "tenantToken": {**_TOKEN, "description": "A token of a tenant, with the permissions that an operator gave it."},
    "operatorToken": {
        **_TOKEN,
        "description": "The operator's token, which may do everything; ?tenant= says for whom.",
    },
}


@dataclass(frozen=True, eq=False)
class Document:
    """`content` is the document as plain values."""

    content: dict[str, Any]

    @cached_property
    def text(self) -> bytes:
        return msgspec.json.encode(self.content)


def document(routes: tuple[AnyRoute, ...], event_types: Catalogue) -> Document:
    """Shows the types of the configuration, too, with their schemas. Blocks for tens of milliseconds."""
    kinds = [kind for route in routes for kind in (*route.body.types, *route.responses, route.query)]
    types = event_types.descriptions()
    names = [one.name for one in types if one.subscribable]
    schemas = Schemas([*kinds, *(kind for kind, _ in SENT.values()), ProblemDocument], names)
    queries = {schemas.of(route.query)["$ref"].rpartition("/")[2] for route in routes}  # their parts are parameters
    responses: dict[str, Any] = {"405-method-not-allowed": response(405, [KINDS["method-not-allowed"]])}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        for path in paths_of(route):
            made = operation(route, path, schemas, responses)
            if links := links_of(route, path, routes, schemas):
                made["responses"][str(route.status)]["links"] = links
            paths.setdefault(path, {})[route.method.lower()] = made
    content = {
        "openapi": "3.1.0",
        "info": {"title": "Tenant Webhooks", "version": __version__, "description": _DESCRIPTION},
        "servers": [{"url": "/", "description": "This daemon."}],
        "tags": _tags(routes),
        "paths": paths,
        "webhooks": webhooks(schemas),
        "components": {
            "schemas": {name: schema for name, schema in schemas.components.items() if name not in queries},
            "responses": dict(sorted(responses.items())),
            "securitySchemes": _SECURITY,
        },
    }
    add_event_types(content, types)
    return Document(msgspec.json.decode(msgspec.json.encode(content)))


def _tags(routes: tuple[AnyRoute, ...]) -> list[dict[str, str]]:
    """One for each file of routes, said in its own first sentence; and that of `webhooks`."""
    modules = {tag_of(route): sys.modules[route.handler.__module__].__doc__ or "" for route in routes}
    tags = [{"name": tag, "description": " ".join(text.split("\n\n")[0].split())} for tag, text in modules.items()]
    return [*tags, {"name": "receivers", "description": "What receivers are sent."}]
