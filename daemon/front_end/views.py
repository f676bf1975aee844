"""The records that clients see, field by field and in the order the contract prints them, made from the nouns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Generic, TypeVar

from msgspec import UNSET, Raw, Struct, UnsetType

from daemon.described import described
from daemon.front_end.fields import (
    DeliveryId,
    EventId,
    EventName,
    Moment,
    TenantName,
    TokenId,
    WebhookId,
)
from daemon.instants import rfc3339
from daemon.model import (
    Delivery,
    ErrorCode,
    Event,
    EventSummary,
    Permission,
    Status,
    Tenant,
    Timings,
    Token,
)

if TYPE_CHECKING:
    from daemon.persistence.commands import Published

V = TypeVar("V")

Trace = Annotated[
    str | None,
    described("The trace it was published in.", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
]
Flag = Annotated[bool, described("", True)]
Url = Annotated[str, described("Where it sends to.", "https://yourapp.example/webhooks", format="uri")]


class View(Struct, frozen=True, rename="camel"):
    """A JSON object of an answer: camelCase, nulls present."""


class Listing(View, Generic[V], frozen=True):
    """One page of a list, newest first."""

    data: Annotated[list[V], described("What is on this page.")]
    next: Annotated[str | None, described("The cursor of the next page; null on the last.", None)]


class DeliveryView(View, frozen=True, kw_only=True):
    """One attempt, made or to be made, to bring one event to one webhook. Lists leave out what the receiver answered:
    responseHeaders and responseBody."""

    id: DeliveryId
    event: EventId
    event_type: EventName
    webhook: WebhookId
    url: Annotated[Url, described("Where it was or will be sent.")]
    status: Annotated[
        Status, described("pending, sending, then how it ended; interrupted may or may not have arrived.", "failed")
    ]
    status_code: Annotated[int | None, described("What the receiver answered; null without an answer.", 500)]
    error: Annotated[ErrorCode | None, described("Why it failed; null unless it did.", "http_status")]
    error_detail: Annotated[
        str | None, described("The same as a sentence.", "The receiver answered 500 Internal Server Error.")
    ]
    created: Annotated[Moment, described("When it was accepted.")]
    started: Annotated[Moment | None, described("When the attempt began.", "2025-10-21T10:00:00.012Z")]
    finished: Annotated[Moment | None, described("When it ended.", "2025-10-21T10:00:00.033Z")]
    timings: Annotated[Timings, described("How long each phase took.")]
    remote_address: Annotated[str | None, described("The address and port connected to.", "203.0.113.7:443")]
    reused_connection: Annotated[bool, described("Sent over a connection that was kept open.", False)]
    response_headers: Annotated[
        dict[str, str] | UnsetType | None,
        described("What the receiver answered: names in lower case, repeats joined.", {"content-type": "text/plain"}),
    ] = UNSET
    response_body: Annotated[
        str | UnsetType | None, described("The beginning of the answer's body, as text.", "no such order")
    ] = UNSET
    response_body_truncated: Annotated[bool, described("The body was longer than what is kept.", False)]
    redelivery_of: Annotated[
        str | None, described("The delivery that somebody asked to repeat; null: none.", None, pattern="^dlv_")
    ]


class PublishedView(View, frozen=True):
    """What became of one published event: it and its deliveries are on disk."""

    id: EventId
    event: EventName
    created: Annotated[Moment, described("When it was accepted.")]
    deliveries: Annotated[int, described("How many webhooks it goes to.", 2)]
    duplicate: Annotated[
        bool, described("True: this idempotency key was used before; this is the first result again.", False)
    ]


class PublishedBatch(View, frozen=True):
    """What became of a batch, all of it."""

    data: Annotated[list[PublishedView], described("One for each event, in the order of the request.")]


class EventView(View, frozen=True):
    """An event, its payload exactly as receivers get it, and its deliveries."""

    id: EventId
    event: EventName
    created: Annotated[Moment, described("When it was accepted.")]
    idempotency_key: Annotated[str | None, described("The key it was published with.", "order-4711")]
    payload: Annotated[
        Raw,
        described(
            "The body that receivers are sent, byte for byte.",
            {"Event": "webhook.ping", "Timestamp": "2025-10-21T10:00:00Z", "Webhook": {"Id": "w1X2y3Z4", "Name": None}},
            type="object",
        ),
    ]
    deliveries: Annotated[list[DeliveryView], described("Its deliveries, newest first.")]
    traceparent: Trace


class EventSummaryView(View, frozen=True):
    """An event as a list shows it."""

    id: EventId
    event: EventName
    created: Annotated[Moment, described("When it was accepted.")]
    idempotency_key: Annotated[str | None, described("The key it was published with.", "order-4711")]
    deliveries: Annotated[int, described("How many deliveries it made when it was accepted.", 2)]
    traceparent: Trace


class TenantView(View, frozen=True):
    """An isolated customer."""

    id: TenantName
    name: Annotated[str | None, described("A name for people.", "Acme Ltd")]
    active: Annotated[Flag, described("False: its tokens are refused and its deliveries wait.")]
    created: Annotated[Moment, described("When it was made.")]


class TokenView(View, frozen=True):
    """An API credential of a tenant, without its text."""

    id: TokenId
    name: Annotated[str | None, described("A name for people.", "billing")]
    permissions: Annotated[tuple[Permission, ...], described("What it may do.", ["publish_events"])]
    created: Annotated[Moment, described("When it was made.")]
    expires: Annotated[Moment | None, described("When it ends; null: never.", None)]


class CreatedToken(TokenView, frozen=True):
    """A token just made: its text is shown this once."""

    token: Annotated[str, described("Send it as Authorization: Bearer <token>.", "tw_PbD3mG0uU5p4kJ9sVx2cYq8nRz7tHw1e")]

    def __repr__(self) -> str:
        return f"CreatedToken({self.id!r})"


def _instant(at: int | None) -> str | None:
    return None if at is None else rfc3339(at)


def delivery_view(delivery: Delivery, *, whole: bool) -> DeliveryView:
    """`whole`: with the receiver's answer."""
    return DeliveryView(
        id=delivery.id,
        event=delivery.event,
        event_type=delivery.event_type,
        webhook=delivery.webhook,
        url=delivery.url,
        status=delivery.status,
        status_code=delivery.status_code,
        error=delivery.error,
        error_detail=delivery.error_detail,
        created=rfc3339(delivery.created),
        started=_instant(delivery.started),
        finished=_instant(delivery.finished),
        timings=delivery.timings,
        remote_address=delivery.remote_address,
        reused_connection=delivery.reused_connection,
        response_headers=delivery.response_headers if whole else UNSET,
        response_body=delivery.response_body if whole else UNSET,
        response_body_truncated=delivery.response_body_truncated,
        redelivery_of=delivery.redelivery_of,
    )


def published_view(published: Published) -> PublishedView:
    return PublishedView(
        published.id, published.event, rfc3339(published.created), published.deliveries, published.duplicate
    )


def event_view(event: Event, deliveries: list[Delivery]) -> EventView:
    return EventView(
        id=event.id,
        event=event.type,
        created=rfc3339(event.created),
        idempotency_key=event.idempotency_key,
        payload=Raw(event.payload.encode()),
        deliveries=[delivery_view(delivery, whole=False) for delivery in deliveries],
        traceparent=event.traceparent,
    )


def event_summary_view(event: EventSummary) -> EventSummaryView:
    return EventSummaryView(
        event.id, event.type, rfc3339(event.created), event.idempotency_key, event.deliveries, event.traceparent
    )


def tenant_view(tenant: Tenant) -> TenantView:
    return TenantView(tenant.id, tenant.name, tenant.active, rfc3339(tenant.created))


def token_view(token: Token) -> TokenView:
    return TokenView(*_token_fields(token))


def created_token(token: Token, text: str) -> CreatedToken:
    return CreatedToken(*_token_fields(token), text)


def _token_fields(token: Token) -> tuple[str, str | None, tuple[Permission, ...], str, str | None]:
    return token.id, token.name, token.permissions, rfc3339(token.created), _instant(token.expires)
