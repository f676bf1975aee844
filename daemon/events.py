"""The built-in event types: names, the schema they are published with, the exact bytes receivers are sent (CONTRACT §1,
§5); and the envelope that every published event has. Those of the configuration are in `event_types`."""

from __future__ import annotations

from hashlib import blake2b
from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta, Struct, structs

from daemon.described import described
from daemon.instants import are_normal, normalised, rfc3339

SESSION_COMPLETED = "onboard.session.completed"
PING = "webhook.ping"


Instant = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
"""An RFC 3339 time; what `decode` returns has it in UTC."""


class _Published(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    pass


class PublishedStep(_Published, frozen=True):
    """A step of a session; left out: not completed."""

    completed: Annotated[bool | None, described("It is done.", True)] = None
    confirmed: Annotated[bool | None, described("What it found was confirmed; null: not known.", True)] = None
    completed_at: Annotated[Instant | None, described("When it was done.", "2025-10-21T10:55:00Z")] = None


class PublishedProgress(_Published, frozen=True):
    """How far a session has come."""

    identity: Annotated[PublishedStep | None, described("Who the person is.")] = None
    ais: Annotated[PublishedStep | None, described("Account information services: the bank account.")] = None


class PublishedSession(_Published, frozen=True):
    """The onboarding session that the event is about."""

    id: Annotated[str, Meta(min_length=1, max_length=128), described("Its id.", "12345678-89ab-cdef-0123-456789abcdef")]
    status: Annotated[str, Meta(min_length=1, max_length=64), described("Its status.", "Complete")]
    progress: Annotated[PublishedProgress | None, described("How far it has come.")] = None
    created: Annotated[Instant | None, described("When it began.", "2025-10-21T10:30:00Z")] = None
    updated: Annotated[Instant | None, described("When it last changed.", "2025-10-21T10:59:00Z")] = None


# Python's $ alone lets a final line feed by.
_KEY = Meta(
    description="Your name for the event: publishing it again under this key delivers nothing twice.",
    examples=["order-4711"],
    min_length=1,
    max_length=255,
    pattern=r"^[!-~]+(?!\n)$",
    extra={"expected": "visible ASCII characters, without spaces"},
)


class Envelope(_Published, frozen=True, kw_only=True):
    """What every event has beside its subject; null stands for left out."""

    event: Annotated[str, described("The event type.", SESSION_COMPLETED)]
    idempotency_key: Annotated[str, _KEY] | None = None
    timestamp: Annotated[Instant | None, described("When it happened; left out: now.", "2025-10-21T11:00:00Z")] = None
    tenant: Annotated[str | None, described("Whose it is: for the operator's token only.")] = None


class PublishedEvent(Envelope, frozen=True, kw_only=True):
    """A session's event as a platform publishes it; null stands for left out."""

    event: Annotated[str, described("The event type.", SESSION_COMPLETED, enum=[SESSION_COMPLETED])]
    session: PublishedSession


_decoder = msgspec.json.Decoder(PublishedEvent)
_anything = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()


def decode(raw: bytes | msgspec.Raw) -> PublishedEvent:
    """Raises msgspec.DecodeError (not JSON) or its subclass msgspec.ValidationError (with the path of the culprit)."""
    published = _decoder.decode(raw)
    # A look at all of them together: to have the decoder call back for each would double what decoding costs.
    return published if are_normal(_times(published)) else _in_utc(published)


def utc(text: str | None, path: str) -> str | None:
    """The time at that path of an event, normalised. Raises msgspec.ValidationError as a decoder does."""
    try:
        return None if text is None else normalised(text)
    except ValueError as error:
        raise msgspec.ValidationError(f"{error} - at `$.{path}`") from None


def _times(published: PublishedEvent) -> list[str]:
    session, progress = published.session, published.session.progress
    times = [published.timestamp, session.created, session.updated]
    if progress is not None:
        times += [step.completed_at for step in (progress.identity, progress.ais) if step is not None]
    return [time for time in times if time is not None]


def _in_utc(published: PublishedEvent) -> PublishedEvent:
    session, progress = published.session, published.session.progress
    if progress is not None:
        progress = PublishedProgress(
            _step_in_utc(progress.identity, "session.progress.identity"),
            _step_in_utc(progress.ais, "session.progress.ais"),
        )
    created, updated = utc(session.created, "session.created"), utc(session.updated, "session.updated")
    return structs.replace(
        published,
        timestamp=utc(published.timestamp, "timestamp"),
        session=structs.replace(session, progress=progress, created=created, updated=updated),
    )


def _step_in_utc(step: PublishedStep | None, path: str) -> PublishedStep | None:
    return None if step is None else structs.replace(step, completed_at=utc(step.completed_at, f"{path}.completedAt"))


def _time(description: str, example: str) -> Meta:
    return described(description, example, format="date-time")


class _Pascal(Struct, frozen=True, rename="pascal"):
    pass


class SentStep(_Pascal, frozen=True):
    """A step of a session."""

    completed: Annotated[bool, described("It is done.", True)]
    confirmed: Annotated[bool | None, described("What it found was confirmed; null: not known.", True)]
    completed_at: Annotated[str | None, _time("When it was done.", "2025-10-21T10:55:00Z")]


class SentProgress(_Pascal, frozen=True):
    """How far a session has come."""

    identity: Annotated[SentStep, described("Who the person is.")]
    ais: Annotated[SentStep, described("Account information services: the bank account.")]


class SentSession(_Pascal, frozen=True):
    """The onboarding session that the event is about."""

    id: Annotated[str, described("Its id.", "12345678-89ab-cdef-0123-456789abcdef")]
    status: Annotated[str, described("Its status.", "Complete")]
    progress: Annotated[SentProgress, described("How far it has come.")]
    created: Annotated[str | None, _time("When it began.", "2025-10-21T10:30:00Z")]
    updated: Annotated[str | None, _time("When it last changed.", "2025-10-21T10:59:00Z")]


class SentSessionEvent(_Pascal, frozen=True):
    """What a receiver is sent of a session's event."""

    event: Annotated[str, described("The event type.", SESSION_COMPLETED)]
    timestamp: Annotated[str, _time("When it happened.", "2025-10-21T11:00:00Z")]
    session: Annotated[SentSession, described("What it happened to.")]


class PingedWebhook(_Pascal, frozen=True):
    """The webhook that was pinged."""

    id: Annotated[str, described("Its id.", "w1X2y3Z4")]
    name: Annotated[str | None, described("Its name.", "Production")]


class SentPing(_Pascal, frozen=True):
    """What a receiver is sent when somebody pings its webhook."""

    event: Annotated[str, described("Always webhook.ping.", PING)]
    timestamp: Annotated[str, _time("When it was asked for.", "2025-10-21T11:00:00Z")]
    webhook: Annotated[PingedWebhook, described("The one that was pinged.")]


_NOT_DONE = SentStep(False, None, None)
_NOTHING_DONE = SentProgress(_NOT_DONE, _NOT_DONE)


def _step(step: PublishedStep | None) -> SentStep:
    return _NOT_DONE if step is None else SentStep(bool(step.completed), step.confirmed, step.completed_at)


def timestamp(published: Envelope, now: int) -> str:
    """When it happened: as it was published, or `now` (milliseconds)."""
    return published.timestamp or rfc3339(now, digits=0)


def payload(published: PublishedEvent, now: int) -> bytes:
    """The body every receiver of the event is sent: PascalCase, nulls present, no white space. `now` in milliseconds
    is the timestamp of an event published without one."""
    session, progress = published.session, published.session.progress
    return _encoder.encode(
        SentSessionEvent(
            published.event,
            timestamp(published, now),
            SentSession(
                session.id,
                session.status,
                _NOTHING_DONE if progress is None else SentProgress(_step(progress.identity), _step(progress.ais)),
                session.created,
                session.updated,
            ),
        )
    )


def session_schema() -> dict[str, Any]:
    """The JSON Schema of a published session."""
    return msgspec.json.schema(PublishedSession)


def ping_payload(webhook: str, name: str | None, now: int) -> bytes:
    """The body of a `webhook.ping` (CONTRACT §4)."""
    return _encoder.encode(SentPing(PING, rfc3339(now, digits=0), PingedWebhook(webhook, name)))


def fingerprint(raw: bytes | msgspec.Raw) -> bytes:
    """Identifies an event's content as published: key order, white space and nulls do not count, nor do its key and
    its tenant. `raw` is one event's JSON that `decode` accepted; the answer is 16 bytes."""
    content: dict[str, Any] = _anything.decode(raw)
    content.pop("idempotencyKey", None)
    content.pop("tenant", None)
    return blake2b(msgspec.json.encode(_without_nulls(content), order="sorted"), digest_size=16).digest()


def _without_nulls(value: object) -> object:
    if isinstance(value, dict):
        members = cast("dict[str, object]", value)
        return {key: _without_nulls(member) for key, member in members.items() if member is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in cast("list[object]", value)]
    return value
