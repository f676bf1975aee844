"""The built-in event types: names, the schema they are published with, the exact bytes receivers are sent (CONTRACT §1,
§5); and the envelope that every published event has. Those of the configuration are in `event_types`."""

from __future__ import annotations

from hashlib import blake2b
from typing import Annotated, Any, TypeVar, cast

import msgspec
from msgspec import Meta, Struct
from msgspec.json import Decoder

from daemon.instants import normalised, rfc3339

SESSION_COMPLETED = "onboard.session.completed"
PING = "webhook.ping"


class Instant(str):
    """An RFC 3339 time, already normalised to UTC."""

    __slots__ = ()


def _decode_custom(kind: type, value: object) -> object:
    if kind is Instant and isinstance(value, str):
        return Instant(normalised(value))
    raise ValueError(f"Expected `str`, got `{type(value).__name__}`")


class _Published(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    pass


class PublishedStep(_Published, frozen=True):
    completed: bool | None = None
    confirmed: bool | None = None
    completed_at: Instant | None = None


class PublishedProgress(_Published, frozen=True):
    identity: PublishedStep | None = None
    ais: PublishedStep | None = None


class PublishedSession(_Published, frozen=True):
    id: Annotated[str, Meta(min_length=1, max_length=128)]
    status: Annotated[str, Meta(min_length=1, max_length=64)]
    progress: PublishedProgress | None = None
    created: Instant | None = None
    updated: Instant | None = None


# Python's $ alone lets a final line feed by.
_KEY = Meta(
    min_length=1,
    max_length=255,
    pattern=r"^[!-~]+(?!\n)$",
    extra={"expected": "visible ASCII characters, without spaces"},
)


class Envelope(_Published, frozen=True, kw_only=True):
    """What every event has beside its subject. `tenant` is for the operator's token only."""

    event: str
    idempotency_key: Annotated[str, _KEY] | None = None
    timestamp: Instant | None = None
    tenant: str | None = None


class PublishedEvent(Envelope, frozen=True, kw_only=True):
    """A session's event as a platform publishes it."""

    session: PublishedSession


E = TypeVar("E", bound=Envelope)


def decoder_of(kind: type[E]) -> Decoder[E]:
    """A decoder that takes times as `Instant`s."""
    return Decoder(kind, dec_hook=_decode_custom)


_decoder = decoder_of(PublishedEvent)
_anything = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()


def decode(raw: bytes | msgspec.Raw) -> PublishedEvent:
    """Raises msgspec.DecodeError (not JSON) or its subclass msgspec.ValidationError (with the path of the culprit)."""
    return _decoder.decode(raw)


class _Pascal(Struct, frozen=True, rename="pascal"):
    pass


class _Step(_Pascal, frozen=True):
    completed: bool
    confirmed: bool | None
    completed_at: str | None


class _Progress(_Pascal, frozen=True):
    identity: _Step
    ais: _Step


class _Session(_Pascal, frozen=True):
    id: str
    status: str
    progress: _Progress
    created: str | None
    updated: str | None


class _SessionEvent(_Pascal, frozen=True):
    event: str
    timestamp: str
    session: _Session


class _PingedWebhook(_Pascal, frozen=True):
    id: str
    name: str | None


class _PingEvent(_Pascal, frozen=True):
    event: str
    timestamp: str
    webhook: _PingedWebhook


_NOT_DONE = _Step(False, None, None)
_NOTHING_DONE = _Progress(_NOT_DONE, _NOT_DONE)


def _text(instant: Instant | None) -> str | None:
    return None if instant is None else str(instant)


def _step(step: PublishedStep | None) -> _Step:
    return _NOT_DONE if step is None else _Step(bool(step.completed), step.confirmed, _text(step.completed_at))


def timestamp(published: Envelope, now: int) -> str:
    """When it happened: as it was published, or `now` (milliseconds)."""
    return rfc3339(now, digits=0) if published.timestamp is None else str(published.timestamp)


def payload(published: PublishedEvent, now: int) -> bytes:
    """The body every receiver of the event is sent: PascalCase, nulls present, no white space. `now` in milliseconds
    is the timestamp of an event published without one."""
    session, progress = published.session, published.session.progress
    return _encoder.encode(
        _SessionEvent(
            published.event,
            timestamp(published, now),
            _Session(
                session.id,
                session.status,
                _NOTHING_DONE if progress is None else _Progress(_step(progress.identity), _step(progress.ais)),
                _text(session.created),
                _text(session.updated),
            ),
        )
    )


def session_schema() -> dict[str, Any]:
    """The JSON Schema of a published session."""
    return msgspec.json.schema(PublishedSession, schema_hook=_described)


def _described(kind: type) -> dict[str, Any]:
    if kind is Instant:
        return {"type": "string", "format": "date-time"}
    raise NotImplementedError


def ping_payload(webhook: str, name: str | None, now: int) -> bytes:
    """The body of a `webhook.ping` (CONTRACT §4)."""
    return _encoder.encode(_PingEvent(PING, rfc3339(now, digits=0), _PingedWebhook(webhook, name)))


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
