"""Deliveries: one attempt each, of one webhook or of all; and redelivery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from daemon.described import described
from daemon.front_end.decoding import NO_BODY
from daemon.front_end.headers import LOCATION
from daemon.front_end.problems import Culprit, invalid
from daemon.front_end.query import NoQuery, TenantedPage
from daemon.front_end.routes.webhooks import find_webhook
from daemon.front_end.routing import Call, Finder, Reply, Route, found, limit_of, nothing, page_of, place, reply
from daemon.front_end.views import DeliveryView, Listing, delivery_view
from daemon.instants import parse_instant
from daemon.model import ErrorCode, Status
from daemon.persistence import queries
from daemon.persistence.commands import Redeliver
from daemon.persistence.queries import DeliveryFilter

if TYPE_CHECKING:
    from daemon.model import Delivery, Millis, Webhook


InStatus = Annotated[Status, described("Only in this status.", "failed")]
WithError = Annotated[ErrorCode, described("Only those that failed in this way.", "http_status")]
OfType = Annotated[str, described("Only of this event type.", "onboard.session.completed")]
Since = Annotated[
    str, described("Created then or later: RFC 3339 with a zone.", "2025-10-21T00:00:00Z", format="date-time")
]
Until = Annotated[str, described("Created before: RFC 3339 with a zone.", "2025-10-22T00:00:00Z", format="date-time")]


class DeliveriesQuery(TenantedPage, frozen=True, kw_only=True):
    status: InStatus | None = None
    event_type: OfType | None = None
    error: WithError | None = None
    since: Since | None = None
    until: Until | None = None


async def find_delivery(finder: Finder) -> Delivery:
    """Raises Problem `not-found`, in the same words for another tenant's."""
    return found(await finder.house.reads.read(finder.owner, queries.delivery, finder.path["id"], finder.owner))


async def listing(call: Call[None, None, DeliveriesQuery]) -> Reply:
    """List deliveries of all webhooks.

    An operator without tenant: those of all tenants."""
    return await _list(call, None)


async def listing_of_webhook(call: Call[Webhook, None, DeliveriesQuery]) -> Reply:
    """List the deliveries of a webhook."""
    return await _list(call, call.object.seq)


async def get(call: Call[Delivery, None, NoQuery]) -> Reply:
    """Read a delivery, with what the receiver answered."""
    return reply(delivery_view(call.object, whole=True))


async def redeliver(call: Call[Delivery, None, NoQuery]) -> Reply:
    """Deliver an event again.

    A new delivery of the same event to the same webhook, with the same webhook-id and a new timestamp."""
    delivery = await call.house.execute(Redeliver(call.owner, call.object.id))
    return reply(delivery_view(delivery, whole=True), 202, Location=f"/v1/deliveries/{delivery.id}")


async def _list(call: Call[object, None, DeliveriesQuery], webhook: int | None) -> Reply:
    query = call.query
    chosen = DeliveryFilter(
        tenant=call.owner,
        webhook=webhook,
        status=query.status,
        event_type=query.event_type,
        error=query.error,
        since=_instant("since", query.since),
        until=_instant("until", query.until),
    )
    limit = limit_of(query)
    scope = f"deliveries {call.owner} {webhook}"
    rows = await call.house.reads.read(call.owner, queries.deliveries, chosen, limit + 1, place(call, scope))
    page, following = page_of(call, scope, rows, lambda delivery: delivery.seq, limit)
    return reply(Listing([delivery_view(delivery, whole=False) for delivery in page], following))


def _instant(parameter: str, text: str | None) -> Millis | None:
    """Raises Problem `invalid`."""
    if text is None:
        return None
    try:
        return parse_instant(text)
    except ValueError as error:
        hint = "; write the + of an offset as %2B" if " " in text else ""
        raise invalid([Culprit(f"{error}{hint}", parameter=parameter)]) from None


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
