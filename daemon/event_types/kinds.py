"""An event type: how one of its events is read, judged and put into words for receivers. The built-in session's, and
one for each of the configuration's."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Protocol, cast

import msgspec
from msgspec import Raw, Struct, defstruct

from daemon import events, sample
from daemon.event_types.names import field_of
from daemon.event_types.subject import UnfitSubject, is_large, read
from daemon.events import Envelope, decoder_of, timestamp

if TYPE_CHECKING:
    from daemon.event_types.faults import Fault
    from daemon.event_types.json_schema import JsonSchema

_EXAMPLE_TIME = "2025-10-21T11:00:00Z"

# The names of members in order, numbers as exactly as they were published: large ones must not become the same.
_content = msgspec.json.Encoder(order="sorted", decimal_format="number")


class Description(Struct, frozen=True):
    """What a person, or a document, is told of an event type.

    `subject` is the member of the payload and `field` that of a published event (None: nobody publishes it); `schema`
    is the JSON Schema of what is published in `field`. `published` and `delivered` are examples, JSON texts; None
    where there is none. `subscribable`: a webhook may name it, and a publisher too."""

    name: str
    description: str
    subscribable: bool
    subject: str
    field: str | None
    schema: Raw | None
    published: Raw | None
    delivered: Raw | None


class EventType(Protocol):
    """`record` is the type of its events as they are published, `decode` makes one of JSON text and raises as msgspec
    does. The events handed to the other methods come from it."""

    @property
    def description(self) -> Description: ...

    @property
    def record(self) -> type[Envelope]: ...

    def decode(self, raw: bytes | Raw) -> Envelope: ...

    def faults(self, event: Any) -> list[Fault]:
        """What is wrong beside what decoding tells; paths begin at the event. Blocks for some microseconds a value."""
        ...

    def payload(self, event: Any, now: int) -> bytes:
        """The body for receivers; `now` (milliseconds) is the time of an event without one."""
        ...

    def fingerprint(self, event: Any, raw: bytes | Raw) -> bytes:
        """Identifies the content as published, `raw`: 16 bytes. White space and the order of names do not count."""
        ...


class SessionCompleted:
    """The built-in type: its payload is made anew, in PascalCase."""

    record = events.PublishedEvent

    def __init__(self) -> None:
        self.description = Description(
            name=events.SESSION_COMPLETED,
            description="An onboarding session has been completed.",
            subscribable=True,
            subject="Session",
            field="session",
            schema=Raw(msgspec.json.encode(events.session_schema())),
            published=Raw(sample.PUBLISHED),
            delivered=Raw(sample.DELIVERED),
        )

    def decode(self, raw: bytes | Raw) -> events.PublishedEvent:
        return events.decode(raw)

    def faults(self, event: events.PublishedEvent) -> list[Fault]:
        return []

    def payload(self, event: events.PublishedEvent, now: int) -> bytes:
        return events.payload(event, now)

    def fingerprint(self, event: events.PublishedEvent, raw: bytes | Raw) -> bytes:
        return events.fingerprint(raw)


class _OwnEvent(Envelope, frozen=True, kw_only=True):
    subject: Raw


class ConfiguredType:
    """A type of the configuration: its subject is sent on byte for byte. `schema` None takes any object; `example` is
    a subject's JSON text."""

    record: type[_OwnEvent]

    def __init__(
        self, name: str, subject: str, description: str, schema: JsonSchema | None, text: bytes, example: bytes | None
    ) -> None:
        field = field_of(subject)
        made = defstruct(
            "PublishedEvent",
            [("subject", Raw)],
            bases=(Envelope,),
            rename={"subject": field},
            frozen=True,
            kw_only=True,
            forbid_unknown_fields=True,
        )
        self.record = cast("type[_OwnEvent]", made)
        self._decoder = decoder_of(self.record)
        self._field = field
        self._schema = schema
        self._head = f'{{"Event":"{name}","Timestamp":"'.encode()
        self._subject = f'","{subject}":'.encode()
        published = None
        if example is not None:
            published = f'{{"event":"{name}","timestamp":"{_EXAMPLE_TIME}","{field}":'.encode() + example + b"}"
        self.description = Description(
            name=name,
            description=description,
            subscribable=True,
            subject=subject,
            field=field,
            schema=Raw(text),
            published=None if published is None else Raw(published),
            delivered=None if published is None else Raw(self.payload(self.decode(published), 0)),
        )

    def decode(self, raw: bytes | Raw) -> _OwnEvent:
        return self._decoder.decode(raw)

    def faults(self, event: _OwnEvent) -> list[Fault]:
        try:
            value = read(event.subject)
        except UnfitSubject as unfit:
            faults = [unfit.fault]
        else:
            faults = [] if self._schema is None else self._schema.faults(value, large=is_large(event.subject))
        return [msgspec.structs.replace(fault, path=(self._field, *fault.path)) for fault in faults]

    def payload(self, event: _OwnEvent, now: int) -> bytes:
        return b"".join((self._head, timestamp(event, now).encode(), self._subject, bytes(event.subject), b"}"))

    def fingerprint(self, event: _OwnEvent, raw: bytes | Raw) -> bytes:
        """Nulls in the subject count: they are sent. Numbers count by value and precision, 1.0 is not 1."""
        at = None if event.timestamp is None else str(event.timestamp)
        content = _content.encode([event.event, at, read(event.subject)])
        return blake2b(content, digest_size=16).digest()


PING = Description(
    name=events.PING,
    description="Sent to one webhook when somebody asks for it (POST /v1/webhooks/{id}/ping).",
    subscribable=False,
    subject="Webhook",
    field=None,
    schema=None,
    published=None,
    delivered=Raw(
        b'{"Event":"webhook.ping","Timestamp":"2025-10-21T11:00:00Z","Webhook":{"Id":"w1X2y3Z4","Name":null}}'
    ),
)
