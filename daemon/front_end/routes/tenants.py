"""CONTRACT §6: tenants, for operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from daemon.front_end.decoding import NO_BODY, body_of
from daemon.front_end.query import NoQuery, Page
from daemon.front_end.routes.webhooks import Name, ReadOnly
from daemon.front_end.routing import Call, Finder, Reply, Route, found, limit_of, listed, nothing, page_of, place, reply
from daemon.front_end.views import Listing, TenantView, tenant_view
from daemon.persistence import queries
from daemon.persistence.commands import CreateTenant, RemoveTenant, UpdateTenant

if TYPE_CHECKING:
    from daemon.model import Tenant

# Python's $ alone lets a final line feed by.
_ID = Meta(
    pattern=r"^[a-z0-9][a-z0-9_-]{0,62}(?!\n)$",
    extra={"expected": "1 to 63 of a to z, 0 to 9, _ and -, with a letter or a digit first"},
)
TenantId = Annotated[str, _ID]


class NewTenant(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    id: TenantId
    name: Name | None = None


class TenantChanges(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Changes to what is given; null stands for left out, but `name: null` clears the name."""

    name: Name | UnsetType | None = UNSET
    active: bool | None = None
    id: ReadOnly = UNSET
    created: ReadOnly = UNSET


async def find_tenant(finder: Finder) -> Tenant:
    """Raises Problem `not-found`."""
    return found(finder.house.store.registry.tenant_by_id(finder.path["id"]))


async def create(call: Call[None, NewTenant, NoQuery]) -> Reply:
    tenant = await call.house.execute(CreateTenant(call.body.id, call.body.name))
    return reply(tenant_view(tenant), 201, Location=f"/v1/tenants/{tenant.id}")


async def listing(call: Call[None, None, Page]) -> Reply:
    limit = limit_of(call.query)
    rows = await call.house.reads.read(call.owner, queries.tenants, limit + 1, place(call, "tenants"))
    page, following = page_of(call, "tenants", rows, lambda tenant: tenant.seq, limit)
    return listed(call, [tenant_view(tenant) for tenant in page], following)


async def get(call: Call[Tenant, None, NoQuery]) -> Reply:
    return reply(tenant_view(call.object))


async def update(call: Call[Tenant, TenantChanges, NoQuery]) -> Reply:
    tenant, body = call.object, call.body
    if body.name is not UNSET or body.active is not None:
        active = UNSET if body.active is None else body.active
        tenant = await call.house.execute(UpdateTenant(tenant.seq, body.name, active))
    return reply(tenant_view(tenant))


async def remove(call: Call[Tenant, None, NoQuery]) -> Reply:
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
