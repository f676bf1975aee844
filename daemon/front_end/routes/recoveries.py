"""Recoveries: what did not arrive is redelivered, of one webhook, of a tenant or of all, as a job of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.front_end.decoding import NO_BODY, body_of
from daemon.front_end.headers import LOCATION_IF_MADE
from daemon.front_end.problems import at_pointer
from daemon.front_end.query import NoQuery, Tenanted, TenantedPage
from daemon.front_end.recovery_views import NewRecovery, RecoveryCount, RecoveryView, recovery_view
from daemon.front_end.routes.webhooks import find_webhook
from daemon.front_end.routing import Call, Finder, Reply, Route, found, limit_of, listed, nothing, page_of, place, reply
from daemon.front_end.views import Listing
from daemon.identifiers import now_ms
from daemon.instants import parse_instant
from daemon.persistence import recovery_queries
from daemon.persistence.commands import CancelRecovery, StartRecovery
from daemon.persistence.recovery_queries import Scope

if TYPE_CHECKING:
    from daemon.front_end.routing import House
    from daemon.model import Millis, Recovery, Webhook


async def find_recovery(finder: Finder) -> Recovery:
    """Raises Problem `not-found`, in the same words for another tenant's."""
    return found(
        await finder.house.reads.read(finder.owner, recovery_queries.recovery, finder.path["id"], finder.owner)
    )


async def recover_webhook(call: Call[Webhook, NewRecovery, NoQuery]) -> Reply:
    """Redeliver what did not reach a webhook.

    Answers at once; the job goes on by itself, and survives restarts."""
    return await _recover(call, call.object)


async def recover_all(call: Call[None, NewRecovery, Tenanted]) -> Reply:
    """Redeliver what did not reach any webhook.

    Any active one of the tenant; with the operator's token and no tenant, of all."""
    return await _recover(call, None)


async def listing(call: Call[None, None, TenantedPage]) -> Reply:
    """List recoveries.

    Those under way, and those that have ended for as long as older deliveries are kept."""
    limit = limit_of(call.query)
    scope = f"recoveries {call.owner}"
    rows = await call.house.reads.read(
        call.owner, recovery_queries.recoveries, call.owner, limit + 1, place(call, scope)
    )
    page, following = page_of(call, scope, rows, lambda recovery: recovery.seq, limit)
    return listed(call, [_view(call.house, recovery) for recovery in page], following)


async def get(call: Call[Recovery, None, NoQuery]) -> Reply:
    """Read how far a recovery has come."""
    return reply(_view(call.house, call.object))


async def cancel(call: Call[Recovery, None, NoQuery]) -> Reply:
    """Cancel a recovery.

    What waits is cancelled, what is being sent ends. One that has ended stays as it is."""
    return reply(_view(call.house, await call.house.execute(CancelRecovery(call.owner, call.object.id))))


async def _recover(call: Call[Any, NewRecovery, NoQuery], webhook: Webhook | None) -> Reply:
    """Raises Problem `invalid`, and what the count or the command refuses."""
    body = call.body
    since = _instant("/since", body.since)
    until = now_ms() if body.until is None else _instant("/until", body.until)
    if since >= until:
        raise at_pointer("invalid", "/since", "is not before the end of the range; name an earlier time")
    statuses = tuple(dict.fromkeys(body.statuses or ("failed", "interrupted")))
    scope = Scope(call.owner, None if webhook is None else webhook.seq, since, until, statuses)
    if body.dry_run:
        count = await call.house.reads.examine(call.owner, recovery_queries.count, scope)
        return reply(
            RecoveryCount(
                examined=count.examined, skipped=count.skipped, redelivered=count.redelivered, complete=count.whole
            ),
            202,
        )
    total = await call.house.reads.examine(call.owner, recovery_queries.total, scope)
    command = StartRecovery(call.owner, None if webhook is None else webhook.id, since, until, statuses, total)
    recovery = await call.house.execute(command)
    return reply(_view(call.house, recovery), 202, Location=f"/v1/recoveries/{recovery.id}")


def _view(house: House, recovery: Recovery) -> RecoveryView:
    tenant = None if recovery.tenant is None else house.store.registry.tenant(recovery.tenant)
    return recovery_view(recovery, None if tenant is None else tenant.id)


def _instant(pointer: str, text: str) -> Millis:
    """Raises Problem `invalid`."""
    try:
        return parse_instant(text)
    except ValueError as error:
        raise at_pointer("invalid", pointer, str(error)) from None


ROUTES = (
    Route(
        name="recoverWebhook",
        method="POST",
        path="/v1/webhooks/{id}/recover",
        access="manage_webhooks",
        find=find_webhook,
        body=body_of(NewRecovery),
        query=NoQuery,
        handler=recover_webhook,
        status=202,
        responses=(RecoveryView, RecoveryCount),
        gives=(LOCATION_IF_MADE,),
        problems=("webhook-inactive", "tenant-inactive", "limit-reached"),
        prefixed=True,
    ),
    Route(
        name="recoverAll",
        method="POST",
        path="/v1/recover",
        access="manage_webhooks",
        find=nothing,
        body=body_of(NewRecovery),
        query=Tenanted,
        handler=recover_all,
        status=202,
        responses=(RecoveryView, RecoveryCount),
        gives=(LOCATION_IF_MADE,),
        problems=("tenant-inactive", "limit-reached"),
    ),
    Route(
        name="listRecoveries",
        method="GET",
        path="/v1/recoveries",
        access="manage_webhooks",
        find=nothing,
        body=NO_BODY,
        query=TenantedPage,
        handler=listing,
        responses=(Listing[RecoveryView],),
    ),
    Route(
        name="getRecovery",
        method="GET",
        path="/v1/recoveries/{id}",
        access="manage_webhooks",
        find=find_recovery,
        body=NO_BODY,
        query=NoQuery,
        handler=get,
        responses=(RecoveryView,),
    ),
    Route(
        name="cancelRecovery",
        method="DELETE",
        path="/v1/recoveries/{id}",
        access="manage_webhooks",
        find=find_recovery,
        body=NO_BODY,
        query=NoQuery,
        handler=cancel,
        responses=(RecoveryView,),
    ),
)
