"""One record for each route: what it answers to, who may use it, what it takes and gives. The app and its documents
are built from a table of these and from nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from daemon.front_end.pagination import BadCursor, seal, unseal
from daemon.front_end.problems import CONTENT_TYPE, Culprit, Problem, invalid, not_found
from daemon.front_end.query import DEFAULT_LIMIT, NoQuery, Page
from daemon.front_end.views import Listing, View

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from werkzeug.datastructures import Headers

    from daemon.egress.policy import AddressPolicy
    from daemon.event_types.catalogue import Catalogue
    from daemon.front_end.auth import Access
    from daemon.front_end.capacity import Role
    from daemon.front_end.decoding import Body
    from daemon.front_end.documents import Documents
    from daemon.front_end.fair_thread import FairThread
    from daemon.front_end.headers import Header
    from daemon.front_end.rate_limit import RateLimit
    from daemon.front_end.shares import FairReads, Shares
    from daemon.model import Tenant
    from daemon.operations.health import Readiness
    from daemon.operations.metrics import Metrics
    from daemon.persistence.actor import Persistence
    from daemon.persistence.commands import Command
    from daemon.settings import Settings

R = TypeVar("R")
V = TypeVar("V")
L = TypeVar("L", bound=View)
O_co = TypeVar("O_co", covariant=True)
B_co = TypeVar("B_co", covariant=True)
Q_co = TypeVar("Q_co", covariant=True, bound=NoQuery)

PREFIXES = ("/v1/tenant", "/v1/onboard")
"""Where the webhook routes answer too, identically (CONTRACT §2)."""

BODY_BYTES: Final = 65_536
"""Suffices for a webhook with every field as long as it may be, each character escaped. Decoding it takes a few
milliseconds at most, in which the event loop turns for nobody."""

Room = Literal["api", "operators", "observation", "pages"]
"""Which listeners a route answers on, see `answers_on`."""


@dataclass(frozen=True)
class House:
    """What handlers work with. `reads` are the store's, in the turn of a tenant; `thread` is for what takes long.
    `roles` are those of the opened listeners: the settings do not know of systemd's. `routes` are all there are."""

    store: Persistence
    settings: Settings
    policy: AddressPolicy
    metrics: Metrics
    ready: Readiness
    roles: frozenset[Role]
    shares: Shares
    reads: FairReads
    thread: FairThread
    event_types: Catalogue
    rates: RateLimit
    documents: Documents
    routes: tuple[AnyRoute, ...]

    async def execute(self, command: Command[R]) -> R:
        """Raises the command's refusals; cancellation is the store's to answer for."""
        return await self.store.execute(command, self.settings.server.request_timeout)


@dataclass(frozen=True)
class Call(Generic[O_co, B_co, Q_co]):
    """One request, as far as its handler is concerned: every check before 422 of meaning has passed.

    `asking` is the tenant whose token was used, None for an operator (or anybody, on an open route). `tenant` is whom
    it is about: the asking tenant, or the one an operator named (None: all). `object` is what the route's `find` found,
    `body` and `query` what its types decoded; `pairs` are the query as it came."""

    house: House
    asking: Tenant | None
    tenant: Tenant | None
    path: Mapping[str, str]
    headers: Headers
    object: O_co
    body: B_co
    query: Q_co
    request_id: str
    pairs: Sequence[tuple[str, str]]

    @property
    def owner(self) -> int | None:
        """The seq of the tenant whose objects exist for this call; None for an operator: all."""
        return None if self.tenant is None else self.tenant.seq

    def required_tenant(self) -> Tenant:
        """Raises Problem `tenant-required`."""
        if self.tenant is None:
            raise Problem("tenant-required", "Say whose: add ?tenant=<id> to the path.")
        return self.tenant


@dataclass(frozen=True)
class Reply:
    """`body` is JSON unless `content_type` says otherwise."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    content_type: str = "application/json"


@dataclass(frozen=True)
class Finder:
    """What a route's `find` may look at: it runs after 403 and before the body is read."""

    house: House
    tenant: Tenant | None
    path: Mapping[str, str]

    @property
    def owner(self) -> int | None:
        return None if self.tenant is None else self.tenant.seq


async def nothing(finder: Finder) -> None:
    """The `find` of routes that are about no object yet."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Route(Generic[O_co, B_co, Q_co]):
    """`path` has its variables in braces. The handler's docstring is for clients: a summary, then what else they need.
    `responses` are type forms, the body is one of them (none: no JSON); `query` lists the query's parameters.
    `problems` are the slugs of 409, 422 and 503 that are this route's own, beside those that any may give.
    `takes` and `gives` are the headers that its requests and its good answers may have, beside those of all.
    `media`: of a good answer that is not JSON. `body_bytes`: the most that its body may have, where that is less than
    server.max_body_bytes (None: that alone). `prefixed`: also answers under the compatibility prefixes."""

    name: str
    method: str
    path: str
    access: Access
    handler: Callable[[Call[O_co, B_co, Q_co]], Awaitable[Reply]]
    find: Callable[[Finder], Awaitable[O_co]]
    body: Body[B_co]
    query: type[Q_co]
    responses: tuple[Any, ...] = ()
    status: int = 200
    problems: tuple[str, ...] = ()
    takes: tuple[Header, ...] = ()
    gives: tuple[Header, ...] = ()
    media: str | None = None
    body_bytes: int | None = BODY_BYTES
    room: Room = "api"
    prefixed: bool = False


AnyRoute = Route[Any, Any, Any]
"""For tables, which hold routes of every type."""


def paths_of(route: AnyRoute) -> list[str]:
    """Every path template that a route answers to, its own first."""
    others = [prefix + route.path.removeprefix("/v1") for prefix in PREFIXES] if route.prefixed else []
    return [route.path, *others]


def answers_on(room: Room, role: Role, opened: frozenset[Role]) -> bool:
    """CONTRACT §6: with listeners of their own opened, observation answers on `observe` and operators' routes on
    `admin` alone. `observe` serves nothing else, `admin` everything else."""
    if room == "pages":
        return True
    if room == "observation":
        return role == "observe" if "observe" in opened else True
    if role == "observe":
        return False
    return role == "admin" if room == "operators" and "admin" in opened else True


def reply(view: Struct, status: int = 200, **headers: str) -> Reply:
    """A JSON answer."""
    return Reply(status, msgspec.json.encode(view), headers)


def problem_reply(problem: Problem) -> Reply:
    return Reply(problem.status, problem.body(), problem.headers, CONTENT_TYPE)


def found(value: R | None) -> R:
    """Raises Problem `not-found` for None."""
    if value is None:
        raise not_found()
    return value


def combined(headers: Headers, name: str) -> str | None:
    """A header's value, a repeated one's as one list (RFC 9110 §5.3): where one is expected it is then no valid one,
    whichever of them a proxy has looked at."""
    return ", ".join(headers.getlist(name)) if name in headers else None


def place(call: Call[object, object, Page], scope: str) -> int | None:
    """The seq before which the page asked for begins. Raises Problem `invalid` for a cursor of another list."""
    if call.query.cursor is None:
        return None
    try:
        return unseal(call.house.store.cursor_key, scope, call.query.cursor)
    except BadCursor:
        wrong = Culprit("is not a cursor of this list; use “next” of the page before as it is", parameter="cursor")
        raise invalid([wrong]) from None


def page_of(
    call: Call[object, object, Page],
    scope: str,
    rows: Sequence[V],
    seq: Callable[[V], int],
    limit: int | None,
    *,
    seen: int | None = None,
) -> tuple[Sequence[V], str | None]:
    """Cut what was read with `limit` + 1 to `limit`, and the cursor of what follows: of what comes before `seen`, if a
    search has stopped there."""
    if limit is None or len(rows) <= limit:
        return rows, None if seen is None else seal(call.house.store.cursor_key, scope, seen)
    return rows[:limit], seal(call.house.store.cursor_key, scope, seq(rows[limit - 1]))


def listed(call: Call[object, object, Page], views: list[L], following: str | None) -> Reply:
    """A page, with the next one as a link (RFC 8288) that is relative to the very request, wherever it came in."""
    page = Listing(views, following)
    if following is None:
        return reply(page)
    query = [(name, value) for name, value in call.pairs if name != "cursor"]
    return reply(page, Link=f'<?{urlencode([*query, ("cursor", following)])}>; rel="next"')


def limit_of(query: Page) -> int:
    return query.limit or DEFAULT_LIMIT
