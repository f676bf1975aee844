"""CONTRACT §5: publishing, one event or a batch, and looking at one."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import msgspec
import trio
from msgspec import UNSET, Meta, Raw, Struct, UnsetType, structs

from daemon.events import SUBSCRIBABLE, PublishedEvent, fingerprint, payload
from daemon.events import decode as decode_event
from daemon.front_end.decoding import NO_BODY, Body, decode
from daemon.front_end.problems import Culprit, Problem, at_pointer, invalid
from daemon.front_end.query import NoQuery, Tenanted, Timed, instant
from daemon.front_end.routing import (
    Call,
    Finder,
    Reply,
    Route,
    combined,
    found,
    limit_of,
    listed,
    nothing,
    page_of,
    place,
    reply,
)
from daemon.front_end.views import (
    EventSummaryView,
    EventView,
    Listing,
    PublishedBatch,
    PublishedView,
    event_summary_view,
    event_view,
    published_view,
)
from daemon.identifiers import now_ms
from daemon.model import ErrorCode, Status
from daemon.persistence import queries, searching
from daemon.persistence.commands import NewEvent, Publish
from daemon.persistence.searching import EventFilter
from daemon.tracing import HEADER as TRACE_HEADER
from daemon.tracing import accepted

if TYPE_CHECKING:
    from daemon.model import Event

KEY_HEADER = "Idempotency-Key"
_KEY = re.compile("[!-~]{1,255}")
_LIKELY_BATCH = re.compile(rb'\s*\{\s*"events"')
_EVENTS_A_TURN = 50


class EventBatch(Struct, frozen=True, forbid_unknown_fields=True):
    """`events`: 1 to limits.batch_events of them."""

    events: list[PublishedEvent]


OfType = Annotated[str, Meta(description="Only of this type.", examples=["onboard.session.completed"])]
WithKey = Annotated[str, Meta(description="Only the event published with this key.", examples=["session-42"])]
WithStatus = Annotated[Status, Meta(description="Only those with a delivery in this status.")]
WithError = Annotated[ErrorCode, Meta(description="Only those with a delivery that failed in this way.")]


class EventsQuery(Timed, frozen=True, kw_only=True):
    type: OfType | None = None
    idempotency_key: WithKey | None = None
    status: WithStatus | None = None
    error: WithError | None = None


class _Peek(Struct, frozen=True):
    events: Raw | UnsetType = UNSET


class _RawBatch(Struct, frozen=True, forbid_unknown_fields=True):
    events: list[Raw]


class Submission(Struct, frozen=True):
    """The events of a request, each as its own JSON text, and whether they came as a batch."""

    events: list[bytes | Raw]
    batch: bool

    def pointer(self, index: int) -> str:
        return f"/events/{index}" if self.batch else ""


_peek = msgspec.json.Decoder(_Peek)
_batch = msgspec.json.Decoder(_RawBatch)


def split(raw: bytes) -> Submission:
    """A body with `events` is a batch, any other one event. Raises Problem `not-json`, `invalid`."""
    if _LIKELY_BATCH.match(raw):
        # The usual batch, however many megabytes, is read once.
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Submission([*_batch.decode(raw).events], batch=True)
    if decode(_peek.decode, raw, kind=_Peek).events is UNSET:
        return Submission([raw.strip()], batch=False)
    return Submission([*decode(_batch.decode, raw, kind=_RawBatch).events], batch=True)


async def find_event(finder: Finder) -> Event:
    """Raises Problem `not-found`, in the same words for another tenant's."""
    return found(await finder.house.reads.read(finder.owner, queries.event, finder.path["id"], finder.owner))


async def publish(call: Call[None, Submission, Tenanted]) -> Reply:
    submission = call.body
    events = _with_key(submission, await _decoded(call), combined(call.headers, KEY_HEADER))
    tenants = [_tenant(call, event, submission.pointer(index)) for index, event in enumerate(events)]
    now = now_ms()
    new: list[NewEvent] = []
    for tenant, event, raw in zip(tenants, events, submission.events, strict=True):
        await _take_turns(len(new))
        new.append(
            NewEvent(
                tenant=tenant,
                type=event.event,
                payload=payload(event, now),
                idempotency_key=event.idempotency_key,
                fingerprint=None if event.idempotency_key is None else fingerprint(raw),
            )
        )
    traceparent = accepted(combined(call.headers, TRACE_HEADER))
    published = await call.house.execute(Publish(new, submission.batch, traceparent, call.request_id))
    views = [published_view(event) for event in published]
    return reply(PublishedBatch(views) if submission.batch else views[0], 202)


async def listing(call: Call[None, None, EventsQuery]) -> Reply:
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


async def get(call: Call[Event, None, NoQuery]) -> Reply:
    deliveries = await call.house.reads.read(call.owner, queries.event_deliveries, call.object.seq)
    return reply(event_view(call.object, deliveries))


async def _take_turns(index: int) -> None:
    """A batch of a thousand would hold the event loop for 20 ms: others have their turn in between."""
    if index and not index % _EVENTS_A_TURN:
        await trio.lowlevel.checkpoint()


async def _decoded(call: Call[None, Submission, Tenanted]) -> list[PublishedEvent]:
    """Raises Problem `too-large`, `not-json`, `invalid` with every culprit, `forbidden` when a tenant names another,
    whether that exists or not."""
    submission, limits = call.body, call.house.settings.limits
    most_bytes, most_events = limits.event_bytes, limits.batch_events
    for index, raw in enumerate(submission.events[:most_events]):
        if len(bytes(raw)) > most_bytes:
            pointer = submission.pointer(index)
            raise at_pointer("too-large", pointer, f"has more than {most_bytes} bytes (limits.event_bytes); send less")
    if not submission.events:
        raise at_pointer("invalid", "/events", "names no event; send at least one")
    if len(submission.events) > most_events:
        raise at_pointer("invalid", "/events", f"has more than {most_events} items (limits.batch_events); send fewer")
    events: list[PublishedEvent] = []
    errors: list[Culprit] = []
    for index, raw in enumerate(submission.events):
        await _take_turns(index)
        pointer = submission.pointer(index)
        try:
            event = decode(decode_event, raw, kind=PublishedEvent, prefix=pointer)
        except Problem as problem:
            if problem.slug != "invalid":
                raise
            errors.extend(problem.document.errors)
            continue
        events.append(event)
        if call.asking is not None and event.tenant not in (None, call.asking.id):
            raise at_pointer("forbidden", f"{pointer}/tenant", "is not the tenant of this token; leave it out")
        if event.event not in SUBSCRIBABLE:
            known = ", ".join(sorted(SUBSCRIBABLE))
            errors.append(Culprit(f"is not an event to publish; there is {known}", pointer=f"{pointer}/event"))
    if errors:
        raise invalid(errors)
    return events


def _with_key(submission: Submission, events: list[PublishedEvent], key: str | None) -> list[PublishedEvent]:
    """The header's idempotency key is the event's, if the event is alone. Raises Problem `invalid`."""
    if key is None:
        return events
    if submission.batch:
        detail = f"the header {KEY_HEADER} is for a single event; give each event of a batch its own idempotencyKey"
        raise at_pointer("invalid", "/events", detail)
    [event] = events
    if event.idempotency_key is not None and event.idempotency_key != key:
        raise at_pointer("invalid", "/idempotencyKey", f"differs from the header {KEY_HEADER}; send one of them")
    if not _KEY.fullmatch(key):
        detail = f"the header {KEY_HEADER} must have 1 to 255 visible ASCII characters, without spaces"
        raise at_pointer("invalid", "/idempotencyKey", detail)
    return [structs.replace(event, idempotency_key=key)]


def _tenant(call: Call[None, Submission, Tenanted], event: PublishedEvent, pointer: str) -> int:
    """Whose event it is: its own field goes before the request's. Raises Problem `tenant-required`, `invalid`."""
    tenant = call.tenant
    if event.tenant is not None:
        tenant = call.house.store.registry.tenant_by_id(event.tenant)
        if tenant is None:
            raise at_pointer("invalid", f"{pointer}/tenant", "is not the id of a tenant; check it")
    if tenant is None:
        raise at_pointer(
            "tenant-required", f"{pointer}/tenant", "is required with an operator's token; say whose it is"
        )
    return tenant.seq


ROUTES = (
    Route(
        name="publishEvents",
        method="POST",
        path="/v1/events",
        access="publish_events",
        find=nothing,
        body=Body((PublishedEvent, EventBatch), split),
        query=Tenanted,
        handler=publish,
        status=202,
        responses=(PublishedView, PublishedBatch),
        problems=("tenant-required", "tenant-inactive", "idempotency-conflict", "fan-out-too-large", "backlog-full"),
    ),
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
    Route(
        name="getEvent",
        method="GET",
        path="/v1/events/{id}",
        access="either",
        find=find_event,
        body=NO_BODY,
        query=NoQuery,
        handler=get,
        responses=(EventView,),
    ),
)
