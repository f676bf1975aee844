"""The tokens of a tenant, for operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from daemon.described import described
from daemon.front_end.decoding import NO_BODY, body_of
from daemon.front_end.fields import Name
from daemon.front_end.problems import at_pointer
from daemon.front_end.query import NoQuery, Page
from daemon.front_end.routes.tenants import find_tenant
from daemon.front_end.routing import Call, Reply, Route, limit_of, listed, page_of, place, reply
from daemon.front_end.tokens import digest, new_token
from daemon.front_end.views import CreatedToken, Listing, TokenView, created_token, token_view
from daemon.identifiers import now_ms
from daemon.instants import parse_instant
from daemon.model import Permission, Tenant
from daemon.operations.logs import get_logger
from daemon.persistence import queries
from daemon.persistence.commands import CreateToken, RevokeToken

if TYPE_CHECKING:
    from daemon.model import Millis

log = get_logger()


Expiry = Annotated[
    str,
    described("When it ends, a time to come: RFC 3339 with a zone; null: never.", None, format="date-time"),
]


class NewToken(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A token to be made; null stands for left out."""

    name: Name | None = None
    permissions: Annotated[
        list[Permission], Meta(min_length=1), described("What it may do.", ["manage_webhooks", "publish_events"])
    ]
    expires: Expiry | None = None


async def create(call: Call[Tenant, NewToken, NoQuery]) -> Reply:
    """Make a token for a tenant.

    The answer alone shows its text: keep it."""
    tenant, body = call.object, call.body
    text = new_token()
    command = CreateToken(
        tenant=tenant.seq,
        name=body.name,
        permissions=tuple(dict.fromkeys(body.permissions)),
        expires=_expiry(body.expires),
        digest=digest(text),
    )
    token = await call.house.execute(command)
    log.info("token.created", tenant=tenant.id, token=token.id, permissions=list(token.permissions))
    return reply(created_token(token, text), 201)


async def listing(call: Call[Tenant, None, Page]) -> Reply:
    """List the tokens of a tenant."""
    limit, tenant = limit_of(call.query), call.object.seq
    scope = f"tokens {tenant}"
    rows = await call.house.reads.read(call.owner, queries.tokens, tenant, limit + 1, place(call, scope))
    page, following = page_of(call, scope, rows, lambda row: row.seq, limit)
    return listed(call, [token_view(row.token) for row in page], following)


async def revoke(call: Call[Tenant, None, NoQuery]) -> Reply:
    """Revoke a token, at once."""
    id = call.path["token"]
    await call.house.execute(RevokeToken(call.object.seq, id))
    log.info("token.revoked", tenant=call.object.id, token=id)
    return Reply(204)


def _expiry(text: str | None) -> Millis | None:
    """Raises Problem `invalid`."""
    if text is None:
        return None
    try:
        at = parse_instant(text)
    except ValueError as error:
        raise at_pointer("invalid", "/expires", str(error)) from None
    if at <= now_ms():
        raise at_pointer("invalid", "/expires", "is in the past; name a time to come, or leave it out")
    return at


ROUTES = (
    Route(
        name="createToken",
        method="POST",
        path="/v1/tenants/{id}/tokens",
        access="operator",
        find=find_tenant,
        body=body_of(NewToken),
        query=NoQuery,
        handler=create,
        status=201,
        responses=(CreatedToken,),
        room="operators",
    ),
    Route(
        name="listTokens",
        method="GET",
        path="/v1/tenants/{id}/tokens",
        access="operator",
        find=find_tenant,
        body=NO_BODY,
        query=Page,
        handler=listing,
        responses=(Listing[TokenView],),
        room="operators",
    ),
    Route(
        name="revokeToken",
        method="DELETE",
        path="/v1/tenants/{id}/tokens/{token}",
        access="operator",
        find=find_tenant,
        body=NO_BODY,
        query=NoQuery,
        handler=revoke,
        status=204,
        room="operators",
    ),
)
