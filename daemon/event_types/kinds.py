"""An event type: how one of its events is read, judged and put into words for receivers. The built-in session's, and
one for each of the configuration's."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

import msgspec
from msgspec import Raw, Struct, defstruct

from daemon import events, sample
from daemon.event_types.names import field_of
from daemon.event_types.numbers import costly
from daemon.event_types.subject import UnfitSubject, is_large, read
from daemon.event_types.weight import is_long, values
from daemon.events import Envelope, timestamp, utc

if TYPE_CHECKING:
    from collections.abc import Sequence

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


class Examined(NamedTuple):
    """What is wrong with an event beside what decoding tells; paths begin at the event.

    `fingerprint` identifies the content as published: 16 bytes. White space and the order of names do not count. None
    where it was not wanted, or something is wrong."""

    faults: Sequence[Fault]
    fingerprint: bytes | None


_SOUND = Examined((), None)


class EventType(Protocol):
    """`record` is the type of its events as they are published, `decode` makes one of JSON text and raises as msgspec
    does. The events handed to the other methods come from it."""

    @property
    def description(self) -> Description: ...

    @property
    def record(self) -> type[Envelope]: ...

    def decode(self, raw: bytes | Raw) -> Envelope: ...

    def takes_long(self, event: Any) -> bool:
        """Whether `examine` may take more than about a millisecond; it belongs in a thread then."""
        ...

    def examine(self, event: Any, raw: bytes | Raw, *, keyed: bool) -> Examined:
        """`raw` is what `event` was decoded from; `keyed`: the fingerprint is wanted.
        Blocks for about half a µs a value and for what the schema takes, which lets no other thread run meanwhile:
        together some 40 ms for 256 KiB."""
        ...

    def payload(self, event: Any, now: int) -> bytes:
        """The body for receivers; `now` (milliseconds) is the time of an event without one."""
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

    def takes_long(self, event: events.PublishedEvent) -> bool:
        return False

    def examine(self, event: events.PublishedEvent, raw: bytes | Raw, *, keyed: bool) -> Examined:
        return Examined([], events.fingerprint(raw)) if keyed else _SOUND

    def payload(self, event: events.PublishedEvent, now: int) -> bytes:
        return events.payload(event, now)


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
        self._decoder = msgspec.json.Decoder(self.record)
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
        event = self._decoder.decode(raw)
        at = utc(event.timestamp, "timestamp")
        return event if at == event.timestamp else msgspec.structs.replace(event, timestamp=at)

    def takes_long(self, event: _OwnEvent) -> bool:
        return is_long(bytes(event.subject))

    def examine(self, event: _OwnEvent, raw: bytes | Raw, *, keyed: bool) -> Examined:
        try:
            value = read(event.subject)
        except UnfitSubject as unfit:
            return Examined([self._placed(unfit.fault)], None)
        if self._schema is not None and (faults := _judged(self._schema, value, bytes(event.subject))):
            return Examined([self._placed(fault) for fault in faults], None)
        return Examined([], _fingerprint(event, value)) if keyed else _SOUND

    def _placed(self, fault: Fault) -> Fault:
        return msgspec.structs.replace(fault, path=(self._field, *fault.path))

    def payload(self, event: _OwnEvent, now: int) -> bytes:
        return b"".join((self._head, timestamp(event, now).encode(), self._subject, bytes(event.subject), b"}"))


def _judged(schema: JsonSchema, value: dict[str, object], text: bytes) -> list[Fault]:
    most = values(text)
    fault = costly(value, text, most)
    return schema.faults(value, large=is_large(most)) if fault is None else [fault]


def _fingerprint(event: _OwnEvent, value: dict[str, object]) -> bytes:
    """Nulls in the subject count: they are sent. Numbers count by value and precision, 1.0 is not 1."""
    return blake2b(_content.encode([event.event, event.timestamp, value]), digest_size=16).digest()


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
