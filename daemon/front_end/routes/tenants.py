"""Tenants, for operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from daemon.described import described
from daemon.front_end.decoding import NO_BODY, body_of
from daemon.front_end.fields import Name, ReadOnly
from daemon.front_end.headers import LOCATION
from daemon.front_end.query import NoQuery, Page
from daemon.front_end.routing import Call, Finder, Reply, Route, found, limit_of, listed, nothing, page_of, place, reply
from daemon.front_end.views import Listing, TenantView, tenant_view
from daemon.persistence import queries
from daemon.persistence.commands import CreateTenant, RemoveTenant, UpdateTenant

if TYPE_CHECKING:
    from daemon.model import Tenant

# Python's $ alone lets a final line feed by.
_ID = Meta(
    description="Its id from now on.",
    examples=["acme"],
    pattern=r"^[a-z0-9][a-z0-9_-]{0,62}(?!\n)$",
    extra={"expected": "1 to 63 of a to z, 0 to 9, _ and -, with a letter or a digit first"},
)
TenantId = Annotated[str, _ID]
Active = Annotated[bool, described("False: its tokens are refused, its deliveries wait.", True)]


class NewTenant(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A tenant to be made; null stands for left out."""

    id: TenantId
    name: Name | None = None


class TenantChanges(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Changes to what is given; null stands for left out, but "name": null clears the name."""

    name: Name | UnsetType | None = UNSET
    active: Active | None = None
    id: ReadOnly = UNSET
    created: ReadOnly = UNSET


async def find_tenant(finder: Finder) -> Tenant:
    """Raises Problem `not-found`."""
    return found(finder.house.store.registry.tenant_by_id(finder.path["id"]))


async def create(call: Call[None, NewTenant, NoQuery]) -> Reply:
    """Make a tenant."""
    tenant = await call.house.execute(CreateTenant(call.body.id, call.body.name))
    return reply(tenant_view(tenant), 201, Location=f"/v1/tenants/{tenant.id}")


async def listing(call: Call[None, None, Page]) -> Reply:
    """List tenants."""
    limit = limit_of(call.query)
    rows = await call.house.reads.read(call.owner, queries.tenants, limit + 1, place(call, "tenants"))
    page, following = page_of(call, "tenants", rows, lambda tenant: tenant.seq, limit)
    return listed(call, [tenant_view(tenant) for tenant in page], following)


async def get(call: Call[Tenant, None, NoQuery]) -> Reply:
    """Read a tenant."""
    return reply(tenant_view(call.object))


async def update(call: Call[Tenant, TenantChanges, NoQuery]) -> Reply:
    """Change a tenant.

    "active": false refuses its tokens, ends its running attempts and keeps its pending deliveries until it is active
    again."""
    tenant, body = call.object, call.body
    if body.name is not UNSET or body.active is not None:
        active = UNSET if body.active is None else body.active
        tenant = await call.house.execute(UpdateTenant(tenant.seq, body.name, active))
    return reply(tenant_view(tenant))


async def remove(call: Call[Tenant, None, NoQuery]) -> Reply:
    """Remove a tenant and everything of it.

    It must be inactive. 202 at once; its events and deliveries are deleted a few at a time."""
    await call.house.execute(RemoveTenant(call.object.seq))
    return Reply(202)


ROUTES = (
    Route(
        name="createTenant",
        method="POST",
        path="/v1/tenants",
        access="operator",
        find=nothing,
        body=body_of(NewTenant),
        query=NoQuery,
        handler=create,
        status=201,
        responses=(TenantView,),
        gives=(LOCATION,),
        problems=("conflict",),
        room="operators",
    ),
    Route(
        name="listTenants",
        method="GET",
        path="/v1/tenants",
        access="operator",
        find=nothing,
        body=NO_BODY,
        query=Page,
        handler=listing,
        responses=(Listing[TenantView],),
        room="operators",
    ),
    Route(
        name="getTenant",
        method="GET",
        path="/v1/tenants/{id}",
        access="operator",
        find=find_tenant,
        body=NO_BODY,
        query=NoQuery,
        handler=get,
        responses=(TenantView,),
        room="operators",
    ),
    Route(
        name="updateTenant",
        method="PATCH",
        path="/v1/tenants/{id}",
        access="operator",
        find=find_tenant,
        body=body_of(TenantChanges),
        query=NoQuery,
        handler=update,
        responses=(TenantView,),
        room="operators",
    ),
    Route(
        name="removeTenant",
        method="DELETE",
        path="/v1/tenants/{id}",
        access="operator",
        find=find_tenant,
        body=NO_BODY,
        query=NoQuery,
        handler=remove,
        status=202,
        problems=("conflict",),
        room="operators",
    ),
)
