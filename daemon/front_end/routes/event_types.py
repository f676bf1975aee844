"""The event types that there are: what can be published and subscribed to, and what receivers get."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Raw

from daemon.described import described
from daemon.front_end.decoding import NO_BODY
from daemon.front_end.fields import EventTypeName
from daemon.front_end.query import NoQuery
from daemon.front_end.routing import Call, Finder, Reply, Route, found, nothing, reply
from daemon.front_end.views import Listing, View

if TYPE_CHECKING:
    from daemon.event_types.kinds import Description


def _object(description: str, example: object) -> Meta:
    return described(description, example, type=["object", "null"])


class EventTypeView(View, frozen=True):
    """An event type: what can be published, and what receivers get of it."""

    name: Annotated[EventTypeName, described("What events and webhooks call it.", "payment.completed")]
    description: Annotated[str, described("When it happens.", "A payment has been completed.")]
    subscribable: Annotated[
        bool, described("Whether it may be published and named by webhooks; webhook.ping may not.", True)
    ]
    subject: Annotated[str, described("The member of the payload that says what the event is about.", "Payment")]
    field: Annotated[str | None, described("The same member of an event as it is published.", "payment")]
    schema: Annotated[
        Raw | None, _object("The JSON Schema (draft 2020-12) of what is published there.", {"type": "object"})
    ]
    published_example: Annotated[
        Raw | None, _object("An event as POST /v1/events takes it.", {"event": "payment.completed", "payment": {}})
    ]
    delivered_example: Annotated[
        Raw | None,
        _object(
            "The body that receivers get of it.",
            {"Event": "payment.completed", "Timestamp": "2025-10-21T11:00:00Z", "Payment": {}},
        ),
    ]


async def find_event_type(finder: Finder) -> Description:
    """Raises Problem `not-found`."""
    return found(finder.house.event_types.description(finder.path["name"]))


async def listing(call: Call[None, None, NoQuery]) -> Reply:
    """List event types.

    All of them, those of the configuration too."""
    return reply(Listing([_view(one) for one in call.house.event_types.descriptions()], None))


async def get(call: Call[Description, None, NoQuery]) -> Reply:
    """Read an event type."""
    return reply(_view(call.object))


def _view(one: Description) -> EventTypeView:
    return EventTypeView(
        one.name, one.description, one.subscribable, one.subject, one.field, one.schema, one.published, one.delivered
    )


ROUTES = (
    Route(
        name="listEventTypes",
        method="GET",
        path="/v1/event-types",
        access="either",
        find=nothing,
        body=NO_BODY,
        query=NoQuery,
        handler=listing,
        responses=(Listing[EventTypeView],),
    ),
    Route(
        name="getEventType",
        method="GET",
        path="/v1/event-types/{name}",
        access="either",
        find=find_event_type,
        body=NO_BODY,
        query=NoQuery,
        handler=get,
        responses=(EventTypeView,),
    ),
)
