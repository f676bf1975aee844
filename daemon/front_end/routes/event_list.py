"""The events of a tenant, or of all, searched."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from daemon.front_end.decoding import NO_BODY
from daemon.front_end.query import Timed, instant
from daemon.front_end.routing import Call, Reply, Route, limit_of, listed, nothing, page_of, place
from daemon.front_end.views import EventSummaryView, Listing, event_summary_view
from daemon.model import ErrorCode, Status
from daemon.persistence import searching
from daemon.persistence.searching import EventFilter

OfType = Annotated[str, Meta(description="Only of this type.", examples=["onboard.session.completed"])]
WithKey = Annotated[str, Meta(description="Only the event published with this key.", examples=["session-42"])]
WithStatus = Annotated[Status, Meta(description="Only those with a delivery in this status.")]
WithError = Annotated[ErrorCode, Meta(description="Only those with a delivery that failed in this way.")]


class EventsQuery(Timed, frozen=True, kw_only=True):
    type: OfType | None = None
    idempotency_key: WithKey | None = None
    status: WithStatus | None = None
    error: WithError | None = None


async def listing(call: Call[None, None, EventsQuery]) -> Reply:
    """List events.

    An operator without tenant: those of all tenants."""
    query = call.query
    if query.idempotency_key is not None:
        call.required_tenant()  # a key is one of its tenant's
    chosen = EventFilter(
        tenant=call.owner,
        type=query.type,
        idempotency_key=query.idempotency_key,
        status=query.status,
        error=query.error,
        since=instant("since", query.since),
        until=instant("until", query.until),
    )
    limit, scope = limit_of(query), f"events {call.owner}"
    found = await call.house.reads.read(call.owner, searching.events, chosen, limit + 1, place(call, scope))
    page, following = page_of(call, scope, found.rows, lambda event: event.seq, limit, seen=found.seen)
    return listed(call, [event_summary_view(event) for event in page], following)


ROUTES = (
    Route(
        name="listEvents",
        method="GET",
        path="/v1/events",
        access="either",
        find=nothing,
        body=NO_BODY,
        query=EventsQuery,
        handler=listing,
        responses=(Listing[EventSummaryView],),
        problems=("tenant-required",),
    ),
)
