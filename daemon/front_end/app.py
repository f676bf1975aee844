"""The API as a Quart application: match, check in the order of CONTRACT §7, call the handler of the route, record.

Quart carries requests and responses; matching and dispatch are ours. Its own would read the Host header, know one
set of routes for all listeners, and cost 30 µs a request in contexts and signals that nothing here listens to.
"""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

import trio
from quart_trio.wrappers import TrioResponse
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import Map, Rule

from daemon.event_types.catalogue import Catalogue
from daemon.front_end.asgi import Application
from daemon.front_end.checks import Asker, checked
from daemon.front_end.documents import Documents
from daemon.front_end.fair_thread import FairThread
from daemon.front_end.framing import REFUSED
from daemon.front_end.problems import Problem, from_refusal
from daemon.front_end.rate_limit import RateLimit
from daemon.front_end.request_id import HEADER, STATE, request_id
from daemon.front_end.routes import ROUTES
from daemon.front_end.routing import AnyRoute, House, Reply, answers_on, combined, paths_of, problem_reply
from daemon.front_end.shares import LARGE, FairReads, Shares
from daemon.operations.logs import get_logger
from daemon.refusals import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hypercorn.typing import HTTPScope
    from quart.wrappers import Request

    from daemon.egress.policy import AddressPolicy
    from daemon.front_end.capacity import Role
    from daemon.front_end.operator_token import OperatorToken
    from daemon.operations.health import Readiness
    from daemon.operations.metrics import Metrics
    from daemon.persistence.actor import Persistence
    from daemon.settings import Settings

_CLIENT_GONE = 499  # nginx's number: logged and counted, never sent
_UNMATCHED = "unmatched"

log = get_logger()


class Api(Application):
    """`handle_request` is where a bug in a handler ends: 500, its traceback in the log. It raises cancellation alone,
    which means that the client has gone; what a command cancelled in its course leaves is the store's to say."""

    def __init__(self, house: House, operator: OperatorToken) -> None:
        super().__init__("daemon", static_folder=None, template_folder=None)
        self.config["MAX_CONTENT_LENGTH"] = house.settings.server.max_body_bytes
        self.config["BODY_TIMEOUT"] = None  # the connection bounds it, and knows what to do with the socket then
        self._house = house
        self._thread = trio.CapacityLimiter(1)
        self._operator = operator
        self._maps = {role: route_map(house.routes, role, house.roles) for role in house.roles}
        self._plain = {role: plain_routes(house.routes, role, house.roles) for role in house.roles}

    async def reload(self, settings: Settings, policy: AddressPolicy) -> None:
        """They hold for the requests that come once this is done: types that are new are made in a thread."""
        types = await trio.to_thread.run_sync(self._house.event_types.of, settings.events, limiter=self._thread)
        self._house = replace(self._house, settings=settings, policy=policy, event_types=types)

    async def handle_request(self, request: Request) -> TrioResponse:
        began = perf_counter()
        asker = Asker(_role(request), request_id=request_id(combined(request.headers, HEADER)))
        _state(request)[STATE] = asker.request_id
        status, failed = None, None
        try:
            reply = await self._reply(request, asker)
            status = reply.status
        except Exception as error:
            failed = error
            reply = problem_reply(Problem("internal", "The daemon has a fault. What happened is in its log."))
            status = reply.status
        finally:
            self._record(request, asker, status or _unanswered(request), perf_counter() - began, failed)
        response = _response(reply, {} if asker.rate is None else asker.rate.headers())
        response.headers[HEADER] = asker.request_id
        return response

    async def _reply(self, request: Request, asker: Asker) -> Reply:
        try:
            route, path = self._match(request, asker.role)
            asker.route = route.path
            call = await checked(self._house, self._operator, request, route, path, asker)
            reply = await route.handler(call)
            if asker.share is not None and route.method == "GET" and len(reply.body) > LARGE:
                asker.share.grows_large()
            return reply
        except Problem as problem:
            return problem_reply(problem)
        except Refusal as refusal:
            return problem_reply(from_refusal(refusal))

    def _match(self, request: Request, role: Role) -> tuple[AnyRoute, Mapping[str, str]]:
        """Raises Problem `not-found`, `method-not-allowed`."""
        try:
            path = _path(request)
            if (route := self._plain[role].get((request.method, path))) is not None:
                return route, {}
            return self._maps[role].bind("", path_info=path, default_method=request.method).match()
        except MethodNotAllowed as error:
            allow = ", ".join(sorted(error.valid_methods or ()))
            detail = f"This path does not take that method. It takes {allow}."
            raise Problem("method-not-allowed", detail, headers={"Allow": allow}) from None
        except NotFound:
            raise Problem(
                "not-found", "There is no such path here. Check it, and which address it answers on."
            ) from None

    def _record(self, request: Request, asker: Asker, status: int, seconds: float, failed: Exception | None) -> None:
        route = asker.route or _UNMATCHED
        self._house.metrics.request(route, request.method, status, seconds)
        fields = {
            "method": request.method,
            "route": route,
            "status": status,
            "ms": round(seconds * 1000, 2),
            "tenant": asker.tenant,
            "token": asker.token,
            "request_id": asker.request_id,
        }
        if failed is None:
            log.info("http.request", **fields)
        else:
            log.error("http.request", **fields, exc_info=failed)


def create_app(
    store: Persistence,
    settings: Settings,
    operator: OperatorToken,
    policy: AddressPolicy,
    metrics: Metrics,
    ready: Readiness,
    roles: frozenset[Role],
    *,
    routes: Iterable[AnyRoute] = ROUTES,
) -> Api:
    """The application for the listeners of these roles: `scope["state"]["role"]` says which one a request came in
    through."""
    # Half of the connections: what one tenant holds in requests, others still have room beside.
    shares = Shares(max(1, settings.server.max_connections // 2))
    types, rates = Catalogue(settings.events), RateLimit()
    reads, thread = FairReads(store), FairThread()
    table = tuple(routes)
    documents = Documents(table)
    house = House(store, settings, policy, metrics, ready, roles, shares, reads, thread, types, rates, documents, table)
    return Api(house, operator)


def route_map(routes: Iterable[AnyRoute], role: Role, opened: frozenset[Role]) -> Map:
    """The paths that answer on one kind of listener, with the compatibility prefixes. Endpoints are the routes."""
    rules = [
        Rule(path.replace("{", "<").replace("}", ">"), endpoint=route, methods=[route.method])
        for route in routes
        if answers_on(route.room, role, opened)
        for path in paths_of(route)
    ]
    return Map(rules, strict_slashes=True, merge_slashes=False, redirect_defaults=False)


def plain_routes(routes: Iterable[AnyRoute], role: Role, opened: frozenset[Role]) -> dict[tuple[str, str], AnyRoute]:
    """Those of `route_map` whose paths have no parameters, by method and path: werkzeug's matcher leaves a cycle of
    eight objects behind each request, and thousands of them hold everybody up when they are collected."""
    return {
        (route.method, path): route
        for route in routes
        if answers_on(route.room, role, opened)
        for path in paths_of(route)
        if "{" not in path
    }


def _path(request: Request) -> str:
    """The path, unless it has two slashes in front, which werkzeug would drop, or an encoded one, which separates
    nothing (RFC 3986 §2.2): a proxy's rules for paths must see what we see. Raises NotFound for those."""
    scope = cast("HTTPScope", request.scope)
    if scope["raw_path"].startswith(b"//") or b"%2f" in scope["raw_path"].lower():
        raise NotFound
    return scope["path"]


def _role(request: Request) -> Role:
    # A server that knows no roles has one kind of listener.
    return _state(request).get("role", "main")


def _unanswered(request: Request) -> int:
    """The status for a request whose handler was cancelled: the one that its connection answered with, if it did."""
    return _state(request).get(REFUSED, _CLIENT_GONE)


def _state(request: Request) -> dict[str, Any]:
    return cast("dict[str, dict[str, Any]]", request.scope).setdefault("state", {})


def _response(reply: Reply, rate: Mapping[str, str]) -> TrioResponse:
    response = TrioResponse(reply.body, reply.status, {**reply.headers, **rate}, content_type=reply.content_type)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault("Cache-Control", "no-store")  # answers hold secrets and other people's affairs
    if not reply.body:
        del response.headers["Content-Type"]
        if reply.status in (204, 304):
            del response.headers["Content-Length"]  # RFC 9110 §8.6
    return response
