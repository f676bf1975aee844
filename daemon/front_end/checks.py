"""What every request must pass before its handler sees it, in the order of CONTRACT §7 from 401 on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

from trio import current_time
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from daemon.front_end.auth import acting_for, authenticate, authorise
from daemon.front_end.decoding import NO_BODY, check_utf8
from daemon.front_end.problems import Problem
from daemon.front_end.query import NoQuery, parse, typed
from daemon.front_end.routing import Call, Finder, House, Route, combined
from daemon.front_end.shares import LARGE
from daemon.identifiers import now_ms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from quart.wrappers import Request

    from daemon.front_end.asgi import Request as ServedRequest
    from daemon.front_end.auth import Principal
    from daemon.front_end.capacity import Role
    from daemon.front_end.operator_token import OperatorToken
    from daemon.front_end.rate_limit import Decision
    from daemon.front_end.shares import Share

Found = TypeVar("Found")
B = TypeVar("B")
Q = TypeVar("Q", bound=NoQuery)


@dataclass
class Asker:
    """Who asks what, as far as it is known: filled on the way, read by the log line when the request has ended."""

    role: Role
    route: str | None = None
    tenant: str | None = None
    token: str | None = None
    share: Share | None = None
    request_id: str = ""
    rate: Decision | None = None

    def is_known(self, principal: Principal) -> None:
        self.tenant = None if principal.tenant is None else principal.tenant.id
        self.token = "operator" if principal.token is None else principal.token.id


async def checked(
    house: House,
    operator: OperatorToken,
    request: Request,
    route: Route[Found, B, Q],
    path: Mapping[str, str],
    asker: Asker,
) -> Call[Found, B, Q]:
    """The call for the route's handler. Raises Problem for the first check that fails, and refusals of the store."""
    pairs = parse(request.query_string)
    asking = tenant = None
    observed_apart = route.room == "observation" and asker.role == "observe"
    if route.access != "open" and not observed_apart:
        principal = authenticate(combined(request.headers, "Authorization"), house.store.registry, operator, now_ms())
        asker.is_known(principal)
        _count(house, principal, asker)
        kept_apart = asker.role == "main" and "admin" in house.roles
        authorise(principal, route.access, operator_accepted=not kept_apart)
        named = dict(pairs).get("tenant") if "tenant" in route.query.__struct_fields__ else None
        asking, tenant = principal.tenant, acting_for(principal, named, house.store.registry)
        if asking is not None:
            asker.share = house.shares.of(asking.seq)
            served = cast("ServedRequest", request)
            served.at_end = asker.share.end
            served.body.when_over(LARGE, asker.share.grows_large)
    found = await route.find(Finder(house, tenant, path))
    body = route.body.decode(b"" if route.body is NO_BODY else await read_json(request, house, route.body_bytes))
    query = typed(pairs, route.query)
    return Call(house, asking, tenant, path, request.headers, found, body, query, asker.request_id, pairs)


def _count(house: House, principal: Principal, asker: Asker) -> None:
    """The operator's token is not limited. Raises Problem `rate-limited`."""
    if principal.token is None:
        return
    asker.rate = house.rates.decide(principal.token.id, house.settings.limits, current_time())
    if asker.rate is not None and not asker.rate.allowed:
        detail = f"This token makes too many requests. Wait {asker.rate.seconds} s; publish events in batches."
        raise Problem("rate-limited", detail, headers=asker.rate.headers())


async def read_json(request: Request, house: House, most: int | None) -> bytes:
    """The whole body, of `most` bytes at most. The request itself bounds it to server.max_body_bytes.

    Raises Problem `too-large`, `unsupported-media-type`, `not-json` (not UTF-8)."""
    whole = house.settings.server.max_body_bytes
    detail = f"The body has more than {whole} bytes (server.max_body_bytes). Send less in one request."
    if most is not None and most < whole:
        cast("ServedRequest", request).body.bound_to(most, request.content_length)
        detail = f"The body has more than {most} bytes, which is the most that this route takes. Send less."
    try:
        raw: bytes = await request.body
    except BadRequest:
        raise Problem("not-json", "The body ended before it was complete.") from None
    except RequestEntityTooLarge:
        raise Problem("too-large", detail) from None
    if raw:
        _check_type(request)
        check_utf8(raw)
    return raw


def _check_type(request: Request) -> None:
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise Problem("unsupported-media-type", "The content type is not JSON. Send Content-Type: application/json.")
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("identity", ""):
        raise Problem("unsupported-media-type", "Encoded bodies are not taken. Send it without Content-Encoding.")
