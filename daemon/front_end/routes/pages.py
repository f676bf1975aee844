"""The API's own documents, for programs (OpenAPI) and for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.front_end.catalogue import KINDS
from daemon.front_end.decoding import NO_BODY
from daemon.front_end.docs.markup import SECURITY_POLICY
from daemon.front_end.docs.operators import log_page, metrics_page
from daemon.front_end.docs.problems import index_page, problem_page
from daemon.front_end.headers import CONTENT_SECURITY_POLICY, ETAG, IF_NONE_MATCH
from daemon.front_end.openapi.operations import words_of
from daemon.front_end.openapi.problems import slugs_of
from daemon.front_end.query import NoQuery
from daemon.front_end.representations import cached_reply, represented
from daemon.front_end.routing import Call, Finder, Reply, Route, found, nothing

if TYPE_CHECKING:
    from daemon.front_end.catalogue import Kind
    from daemon.front_end.representations import Representation

_MEDIA = "text/html; charset=utf-8"


async def find_kind(finder: Finder) -> Kind:
    """Raises Problem `not-found`."""
    return found(KINDS.get(finder.path["slug"]))


async def problems(call: Call[None, None, NoQuery]) -> Reply:
    """Read which problems there are, as a page."""
    return _page(call, represented(index_page()))


async def problem(call: Call[Kind, None, NoQuery]) -> Reply:
    """Read what a problem means and what to change, as a page."""
    kind = call.object
    answering = [route for route in call.house.routes if kind.slug in slugs_of(route)]
    page = problem_page(kind, [(route.name, words_of(route)[0]) for route in answering])
    return _page(call, represented(page))


async def openapi(call: Call[None, None, NoQuery]) -> Reply:
    """Read this document: the API in OpenAPI 3.1.

    The event types of the configuration are in it, with their schemas, for anybody to read."""
    current = await call.house.documents.openapi(call.house.event_types)
    return cached_reply(call.headers, current, "application/json")


async def api(call: Call[None, None, NoQuery]) -> Reply:
    """Read what this document says, as a page."""
    return _page(call, await call.house.documents.page(call.house.event_types))


async def metrics(call: Call[None, None, NoQuery]) -> Reply:
    """Read which metrics there are, as a page."""
    return _page(call, represented(metrics_page(await call.house.metrics.described())))


async def log(call: Call[None, None, NoQuery]) -> Reply:
    """Read which events the log has, as a page."""
    return _page(call, represented(log_page()))


def _page(call: Call[object, None, NoQuery], html: Representation) -> Reply:
    return cached_reply(call.headers, html, _MEDIA, **{"Content-Security-Policy": SECURITY_POLICY})


ROUTES = (
    Route(
        name="getOpenApi",
        method="GET",
        path="/openapi.json",
        access="open",
        find=nothing,
        body=NO_BODY,
        query=NoQuery,
        handler=openapi,
        takes=(IF_NONE_MATCH,),
        gives=(ETAG,),
        media="application/json",
        room="pages",
    ),
    Route(
        name="listProblems",
        method="GET",
        path="/problems",
        access="open",
        find=nothing,
        body=NO_BODY,
        query=NoQuery,
        handler=problems,
        takes=(IF_NONE_MATCH,),
        gives=(ETAG, CONTENT_SECURITY_POLICY),
        media="text/html",
        room="pages",
    ),
    Route(
        name="getProblem",
        method="GET",
        path="/problems/{slug}",
        access="open",
        find=find_kind,
        body=NO_BODY,
        query=NoQuery,
        handler=problem,
        takes=(IF_NONE_MATCH,),
        gives=(ETAG, CONTENT_SECURITY_POLICY),
        media="text/html",
        room="pages",
    ),
    Route(
        name="getDocs",
        method="GET",
        path="/docs",
        access="open",
        find=nothing,
        body=NO_BODY,
        query=NoQuery,
        handler=api,
        takes=(IF_NONE_MATCH,),
        gives=(ETAG, CONTENT_SECURITY_POLICY),
        media="text/html",
        room="pages",
    ),
    Route(
        name="getDocsOfMetrics",
        method="GET",
        path="/docs/metrics",
        access="open",
        find=nothing,
        body=NO_BODY,
        query=NoQuery,
        handler=metrics,
        takes=(IF_NONE_MATCH,),
        gives=(ETAG, CONTENT_SECURITY_POLICY),
        media="text/html",
        room="pages",
    ),
    Route(
        name="getDocsOfLog",
        method="GET",
        path="/docs/log",
        access="open",
        find=nothing,
        body=NO_BODY,
        query=NoQuery,
        handler=log,
        takes=(IF_NONE_MATCH,),
        gives=(ETAG, CONTENT_SECURITY_POLICY),
        media="text/html",
        room="pages",
    ),
)
