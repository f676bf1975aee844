"""The event types that there are: what can be published and subscribed to, and what receivers get."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Raw

from daemon.front_end.decoding import NO_BODY
from daemon.front_end.query import NoQuery
from daemon.front_end.routing import Call, Finder, Reply, Route, found, nothing, reply
from daemon.front_end.views import Listing, View

if TYPE_CHECKING:
    from daemon.event_types.kinds import Description

_OBJECT = {"type": ["object", "null"]}


class EventTypeView(View, frozen=True):
    """An event type. `subject` is the member of the payload that says what the event is about, `field` the same member
    of an event as it is published, `schema` the JSON Schema (draft 2020-12) of what is published there."""

    name: Annotated[str, Meta(description="What events and webhooks call it.", examples=["payment.completed"])]
    description: str
    subscribable: Annotated[
        bool, Meta(description="Whether it may be published and named by webhooks; `webhook.ping` may not.")
    ]
    subject: Annotated[str, Meta(examples=["Payment"])]
    field: Annotated[str | None, Meta(examples=["payment"])]
    schema: Annotated[Raw | None, Meta(extra_json_schema=_OBJECT)]
    published_example: Annotated[
        Raw | None, Meta(description="An event as POST /v1/events takes it.", extra_json_schema=_OBJECT)
    ]
    delivered_example: Annotated[
        Raw | None, Meta(description="The body that receivers get of it.", extra_json_schema=_OBJECT)
    ]


async def find_event_type(finder: Finder) -> Description:
    """Raises Problem `not-found`."""
    return found(finder.house.event_types.description(finder.path["name"]))


async def listing(call: Call[None, None, NoQuery]) -> Reply:
    """All of them: the configuration bounds how many there are."""
    return reply(Listing([_view(one) for one in call.house.event_types.descriptions()], None))


async def get(call: Call[Description, None, NoQuery]) -> Reply:
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
