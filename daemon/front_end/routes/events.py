"""Events: published, one or a batch, and looked at."""

from __future__ import annotations

import re
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Annotated, NamedTuple

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType, structs

from daemon.described import described
from daemon.event_types.weight import weight
from daemon.events import Envelope, PublishedEvent
from daemon.front_end.decoding import NO_BODY, Body, decode, escape
from daemon.front_end.headers import IDEMPOTENCY_KEY, TRACEPARENT
from daemon.front_end.portion import Portion
from daemon.front_end.problems import MOST_ERRORS, Culprit, Problem, at_pointer, invalid
from daemon.front_end.query import NoQuery, Tenanted
from daemon.front_end.routing import (
    Call,
    Finder,
    Reply,
    Route,
    combined,
    found,
    nothing,
    reply,
)
from daemon.front_end.views import (
    EventView,
    PublishedBatch,
    PublishedView,
    event_view,
    published_view,
)
from daemon.identifiers import now_ms
from daemon.persistence import queries
from daemon.persistence.commands import NewEvent, Publish
from daemon.tracing import HEADER as TRACE_HEADER
from daemon.tracing import accepted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.event_types.faults import Fault
    from daemon.event_types.kinds import EventType
    from daemon.model import Event

KEY_HEADER = IDEMPOTENCY_KEY.name
_KEY = re.compile("[!-~]{1,255}")
_LIKELY_BATCH = re.compile(rb'\s*\{\s*"events"')
_LIKELY_NAME = re.compile(rb'\s*\{\s*"event"\s*:\s*"([a-z0-9._-]+)"')
_SMALL, _FEW_BYTES = 65_536, 8
_EVENT = 512  # what any event weighs beside its text, see `weight`


class EventBatch(Struct, frozen=True, forbid_unknown_fields=True):
    """Events of any type to be published together: all of them are stored, or none."""

    events: Annotated[
        list[PublishedEvent], Meta(min_length=1, max_length=1000), described("1 to limits.batch_events of them.")
    ]


class _Peek(Struct, frozen=True):
    events: Raw | UnsetType = UNSET


class _RawBatch(Struct, frozen=True, forbid_unknown_fields=True):
    events: list[Raw]


class _Named(Struct, frozen=True):
    event: str
    tenant: str | None = None


class _Items(Struct, frozen=True):
    events: list[_Named] | UnsetType = UNSET


class Submission(Struct, frozen=True):
    """The events of a request, each as its own JSON text, and whether they came as a batch."""

    events: list[bytes | Raw]
    batch: bool

    @property
    def pointers(self) -> Iterator[str]:
        """Where each stands in the body."""
        return (f"/events/{index}" for index in range(len(self.events))) if self.batch else iter(("",))


class Understood(NamedTuple):
    """An event of a type that there is, whole and right. `fingerprint`: None if it has no idempotency key."""

    type: EventType
    event: Envelope
    raw: bytes | Raw
    fingerprint: bytes | None


_peek = msgspec.json.Decoder(_Peek)
_named = msgspec.json.Decoder(_Named)
_items = msgspec.json.Decoder(_Items)
_batch = msgspec.json.Decoder(_RawBatch)


def split(raw: bytes) -> Submission:
    """A body with `events` is a batch, any other one event. Raises Problem `not-json`, `invalid`."""
    if len(raw) > _SMALL and raw.count(b",") * _FEW_BYTES > len(raw):
        # A list of millions of items that are no events would hold the event loop: the first of them ends this look.
        decode(_items.decode, raw, kind=_Items)
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
    """Publish an event, or a batch of them.

    202 means that the event and one delivery for each webhook that wants it are on disk. The same idempotency key
    again answers the first result and delivers nothing twice. An operator's token says whose each event is."""
    submission = call.body
    key = combined(call.headers, KEY_HEADER)
    events = _with_key(submission, await _understood(call, keyed=key is not None), key)
    tenants = [_tenant(call, one.event, pointer) for one, pointer in zip(events, submission.pointers, strict=True)]
    now = now_ms()
    new: list[NewEvent] = []
    portion = Portion()
    for tenant, one in zip(tenants, events, strict=True):
        await portion.about_to(_EVENT + len(bytes(one.raw)))
        new.append(
            NewEvent(
                tenant=tenant,
                type=one.event.event,
                payload=one.type.payload(one.event, now),
                idempotency_key=one.event.idempotency_key,
                fingerprint=one.fingerprint,
            )
        )
    traceparent = accepted(combined(call.headers, TRACE_HEADER))
    published = await call.house.execute(Publish(new, submission.batch, traceparent, call.request_id))
    views = [published_view(event) for event in published]
    return reply(PublishedBatch(views) if submission.batch else views[0], 202)


async def get(call: Call[Event, None, NoQuery]) -> Reply:
    """Read an event, its payload and its deliveries."""
    deliveries = await call.house.reads.read(call.owner, queries.event_deliveries, call.object.seq)
    return reply(event_view(call.object, deliveries))


async def _understood(call: Call[None, Submission, Tenanted], *, keyed: bool) -> list[Understood]:
    """`keyed`: they have a key that is not in them. Raises Problem `too-large`, `not-json`, `invalid` with every
    culprit, `forbidden` when a tenant names another, whether that exists or not."""
    submission, limits = call.body, call.house.settings.limits
    most_bytes, most_events = limits.event_bytes, limits.batch_events
    for raw, pointer in islice(zip(submission.events, submission.pointers, strict=True), most_events):
        if len(bytes(raw)) > most_bytes:
            raise at_pointer("too-large", pointer, f"has more than {most_bytes} bytes (limits.event_bytes); send less")
    if not submission.events:
        raise at_pointer("invalid", "/events", "names no event; send at least one")
    if len(submission.events) > most_events:
        raise at_pointer("invalid", "/events", f"has more than {most_events} items (limits.batch_events); send fewer")
    events: list[Understood] = []
    errors: list[Culprit] = []
    portion = Portion()
    for raw, pointer in zip(submission.events, submission.pointers, strict=True):
        await portion.about_to(_EVENT + weight(bytes(raw)))
        try:
            kind, event = _decoded(call, raw, pointer)
        except Problem as problem:
            if problem.slug != "invalid":
                raise
            errors.extend(problem.document.errors)
            continue
        if event.tenant is not None:
            _check_tenant(call, event.tenant, pointer)
        if len(errors) >= MOST_ERRORS:  # more are not told
            continue
        wanted = keyed or event.idempotency_key is not None
        if kind.takes_long(event):
            examine = partial(kind.examine, event, raw, keyed=wanted)
            examined = await call.house.thread.run(call.owner, examine)
        else:
            examined = kind.examine(event, raw, keyed=wanted)
        if examined.faults:
            errors.extend(_culprit(fault, pointer) for fault in examined.faults)
        events.append(Understood(kind, event, raw, examined.fingerprint))
    if errors:
        raise invalid(errors)
    return events


def _check_tenant(call: Call[None, Submission, Tenanted], named: str | None, pointer: str) -> None:
    """Raises Problem `forbidden`."""
    if call.asking is not None and named not in (None, call.asking.id):
        raise at_pointer("forbidden", f"{pointer}/tenant", "is not the tenant of this token; leave it out")


def _decoded(call: Call[None, Submission, Tenanted], raw: bytes | Raw, pointer: str) -> tuple[EventType, Envelope]:
    """Raises Problem `not-json`, `invalid`; `forbidden` as `_check_tenant` where there is no such type."""
    types = call.house.event_types
    if (likely := _LIKELY_NAME.match(raw)) and (kind := types.get(likely[1].decode())):
        event = decode(kind.decode, raw, kind=kind.record, prefix=pointer)
        if event.event == kind.description.name:  # the usual event is read once
            return kind, event
    named = decode(_named.decode, raw, kind=_Named, prefix=pointer)
    kind = types.get(named.event)
    if kind is None:
        _check_tenant(call, named.tenant, pointer)
        raise at_pointer("invalid", f"{pointer}/event", f"is not an event to publish; there is {types.known()}")
    return kind, decode(kind.decode, raw, kind=kind.record, prefix=pointer)


def _culprit(fault: Fault, prefix: str) -> Culprit:
    return Culprit(fault.detail, pointer=prefix + "".join(f"/{escape(str(step))}" for step in fault.path))


def _with_key(submission: Submission, events: list[Understood], key: str | None) -> list[Understood]:
    """The header's idempotency key is the event's, if the event is alone. Raises Problem `invalid`."""
    if key is None:
        return events
    if submission.batch:
        detail = f"the header {KEY_HEADER} is for a single event; give each event of a batch its own idempotencyKey"
        raise at_pointer("invalid", "/events", detail)
    [alone] = events
    event = alone.event
    if event.idempotency_key is not None and event.idempotency_key != key:
        raise at_pointer("invalid", "/idempotencyKey", f"differs from the header {KEY_HEADER}; send one of them")
    if not _KEY.fullmatch(key):
        detail = f"the header {KEY_HEADER} must have 1 to 255 visible ASCII characters, without spaces"
        raise at_pointer("invalid", "/idempotencyKey", detail)
    return [alone._replace(event=structs.replace(event, idempotency_key=key))]


def _tenant(call: Call[None, Submission, Tenanted], event: Envelope, pointer: str) -> int:
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
        body_bytes=None,
        query=Tenanted,
        handler=publish,
        status=202,
        responses=(PublishedView, PublishedBatch),
        takes=(IDEMPOTENCY_KEY, TRACEPARENT),
        problems=("tenant-required", "tenant-inactive", "idempotency-conflict", "fan-out-too-large", "backlog-full"),
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
