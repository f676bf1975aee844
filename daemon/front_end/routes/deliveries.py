"""Deliveries: one attempt each, of one webhook or of all; and redelivery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from daemon.described import described
from daemon.front_end.decoding import NO_BODY
from daemon.front_end.headers import LOCATION
from daemon.front_end.query import NoQuery, Timed, instant
from daemon.front_end.routes.webhooks import find_webhook
from daemon.front_end.routing import Call, Finder, Reply, Route, found, limit_of, listed, nothing, page_of, place, reply
from daemon.front_end.views import DeliveryView, Listing, delivery_view
from daemon.model import ErrorCode, Status
from daemon.persistence import queries, searching
from daemon.persistence.commands import Redeliver
from daemon.persistence.searching import DeliveryFilter

if TYPE_CHECKING:
    from daemon.model import Delivery, Webhook


InStatus = Annotated[Status, described("Only in this status.", "failed")]
WithError = Annotated[ErrorCode, described("Only those that failed in this way.", "http_status")]
OfType = Annotated[str, described("Only of this event type.", "onboard.session.completed")]


class DeliveriesQuery(Timed, frozen=True, kw_only=True):
    status: InStatus | None = None
    event_type: OfType | None = None
    error: WithError | None = None


async def find_delivery(finder: Finder) -> Delivery:
    """Raises Problem `not-found`, in the same words for another tenant's."""
    return found(await finder.house.reads.read(finder.owner, queries.delivery, finder.path["id"], finder.owner))


async def listing(call: Call[None, None, DeliveriesQuery]) -> Reply:
    """List deliveries of all webhooks.

    An operator without tenant: those of all tenants."""
    return await _list(call, None)


async def listing_of_webhook(call: Call[Webhook, None, DeliveriesQuery]) -> Reply:
    """List the deliveries of a webhook."""
    return await _list(call, call.object)


async def get(call: Call[Delivery, None, NoQuery]) -> Reply:
    """Read a delivery, with what the receiver answered."""
    return reply(delivery_view(call.object, whole=True))


async def redeliver(call: Call[Delivery, None, NoQuery]) -> Reply:
    """Deliver an event again.

    A new delivery of the same event to the same webhook, with the same webhook-id and a new timestamp."""
    delivery = await call.house.execute(Redeliver(call.owner, call.object.id))
    return reply(delivery_view(delivery, whole=True), 202, Location=f"/v1/deliveries/{delivery.id}")


async def _list(call: Call[object, None, DeliveriesQuery], webhook: Webhook | None) -> Reply:
    query = call.query
    chosen = DeliveryFilter(
        tenant=call.owner if webhook is None else webhook.tenant,
        webhook=webhook and webhook.seq,
        status=query.status,
        event_type=query.event_type,
        error=query.error,
        since=instant("since", query.since),
        until=instant("until", query.until),
    )
    limit = limit_of(query)
    scope = f"deliveries {call.owner} {chosen.webhook}"
    found = await call.house.reads.read(call.owner, searching.deliveries, chosen, limit + 1, place(call, scope))
    page, following = page_of(call, scope, found.rows, lambda delivery: delivery.seq, limit, seen=found.seen)
    return listed(call, [delivery_view(delivery, whole=False) for delivery in page], following)


ROUTES = (
    Route(
        name="listDeliveries",
        method="GET",
        path="/v1/deliveries",
        access="manage_webhooks",
        find=nothing,
        body=NO_BODY,
        query=DeliveriesQuery,
        handler=listing,
        responses=(Listing[DeliveryView],),
    ),
    Route(
        name="listDeliveriesOfWebhook",
        method="GET",
        path="/v1/webhooks/{id}/deliveries",
        access="manage_webhooks",
        find=find_webhook,
        body=NO_BODY,
        query=DeliveriesQuery,
        handler=listing_of_webhook,
        responses=(Listing[DeliveryView],),
        prefixed=True,
    ),
    Route(
        name="getDelivery",
        method="GET",
        path="/v1/deliveries/{id}",
        access="manage_webhooks",
        find=find_delivery,
        body=NO_BODY,
        query=NoQuery,
        handler=get,
        responses=(DeliveryView,),
    ),
    Route(
        name="redeliver",
        method="POST",
        path="/v1/deliveries/{id}/redeliver",
        access="manage_webhooks",
        find=find_delivery,
        body=NO_BODY,
        query=NoQuery,
        handler=redeliver,
        status=202,
        responses=(DeliveryView,),
        problems=("not-finished", "webhook-inactive", "tenant-inactive", "backlog-full"),
        gives=(LOCATION,),
    ),
)
