"""The records that clients see, field by field and in the order the contract prints them, made from the nouns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, structs

from daemon.instants import rfc3339
from daemon.model import (
    Delivery,
    ErrorCode,
    Event,
    EventSummary,
    LastDelivery,
    Permission,
    Status,
    Tenant,
    Timings,
    Token,
    Webhook,
)
from daemon.static_headers import hidden

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.model import SigningSecret
    from daemon.persistence.commands import Published

V = TypeVar("V")


class View(Struct, frozen=True, rename="camel"):
    """A JSON object of an answer: camelCase, nulls present."""


class Listing(View, Generic[V], frozen=True):
    """One page; `next` is the cursor of the next, null on the last."""

    data: list[V]
    next: str | None


class WebhookView(View, frozen=True):
    """CONTRACT §2; times to the second."""

    id: str
    url: str
    name: str | None
    events: tuple[str, ...]
    active: bool
    created: str
    updated: str
    last_delivered: str | None
    delivery_attempts: int
    last_delivery: LastDelivery | None
    headers: Annotated[
        dict[str, str],
        Meta(
            description="Sent with each delivery beside ours. The values are secrets and are shown as ***.",
            examples=[{"authorization": "***"}],
        ),
    ]
    timeout: Annotated[
        float | None, Meta(description="Seconds that one attempt may take; null: delivery.timeout.", examples=[5.0])
    ]
    max_concurrent: Annotated[
        int | None,
        Meta(
            description="Attempts at a time; 1: in the order of acceptance. null: delivery.max_concurrent_per_webhook.",
            examples=[1],
        ),
    ]


class CreatedWebhook(WebhookView, frozen=True):
    """The answer to a registration alone shows the secret beside the rest."""

    secret: str

    def __repr__(self) -> str:
        return f"CreatedWebhook({self.id!r})"


class PreviousSecret(View, frozen=True):
    """A secret that was replaced and still signs."""

    created: str
    expires: Annotated[str, Meta(description="When it stops signing.")]


class SigningSecretView(View, frozen=True):
    """How a webhook's deliveries are signed now; times to the second."""

    secret: Annotated[str, Meta(description="The secret in force: `whsec_` and base64. Keep it as you keep passwords.")]
    created: Annotated[str, Meta(description="Since when it is in force.")]
    previous: Annotated[
        list[PreviousSecret],
        Meta(
            description="Those before it that still sign, the newest first; each adds a signature to the header. Their "
            "text is not shown again."
        ),
    ]

    def __repr__(self) -> str:
        return f"SigningSecretView({self.created!r})"


class DeliveryView(View, frozen=True, kw_only=True):
    """CONTRACT §4. Lists leave out what the receiver answered (`response_headers`, `response_body`)."""

    id: str
    event: str
    event_type: str
    webhook: str
    url: str
    status: Status
    status_code: int | None
    error: ErrorCode | None
    error_detail: str | None
    created: str
    started: str | None
    finished: str | None
    timings: Timings
    remote_address: str | None
    reused_connection: bool
    response_headers: dict[str, str] | UnsetType | None = UNSET
    response_body: str | UnsetType | None = UNSET
    response_body_truncated: bool
    redelivery_of: str | None


class PublishedView(View, frozen=True):
    """CONTRACT §5: what a publisher is told of one event."""

    id: str
    event: str
    created: str
    deliveries: int
    duplicate: bool


class PublishedBatch(View, frozen=True):
    """In the order of the request."""

    data: list[PublishedView]


class EventView(View, frozen=True):
    """An event, its payload exactly as receivers get it, and its deliveries, newest first."""

    id: str
    event: str
    created: str
    idempotency_key: str | None
    payload: Raw
    deliveries: list[DeliveryView]
    traceparent: str | None


class EventSummaryView(View, frozen=True):
    """An event as a list shows it; `deliveries` is how many it made when it was accepted."""

    id: str
    event: str
    created: str
    idempotency_key: str | None
    deliveries: int
    traceparent: str | None


class TenantView(View, frozen=True):
    id: str
    name: str | None
    active: bool
    created: str


class TokenView(View, frozen=True):
    id: str
    name: str | None
    permissions: tuple[Permission, ...]
    created: str
    expires: str | None


class CreatedToken(TokenView, frozen=True):
    """The answer to making a token alone shows its text."""

    token: str

    def __repr__(self) -> str:
        return f"CreatedToken({self.id!r})"


def _instant(at: int | None) -> str | None:
    return None if at is None else rfc3339(at)


def webhook_view(webhook: Webhook) -> WebhookView:
    return WebhookView(**_webhook_fields(webhook))


def created_webhook(webhook: Webhook, secret: str) -> CreatedWebhook:
    return CreatedWebhook(**_webhook_fields(webhook), secret=secret)


def signing_secret_view(current: SigningSecret, previous: Sequence[SigningSecret], secret: str) -> SigningSecretView:
    """`previous` are those with an end."""
    return SigningSecretView(
        secret,
        rfc3339(current.created, digits=0),
        [
            PreviousSecret(rfc3339(old.created, digits=0), rfc3339(old.expires, digits=0))
            for old in previous
            if old.expires is not None
        ],
    )


def _webhook_fields(webhook: Webhook) -> dict[str, Any]:
    last = webhook.last_delivery
    return {
        "id": webhook.id,
        "url": webhook.url,
        "name": webhook.name,
        "events": webhook.events,
        "active": webhook.active,
        "created": rfc3339(webhook.created, digits=0),
        "updated": rfc3339(webhook.updated, digits=0),
        "last_delivered": None if webhook.last_delivered is None else rfc3339(webhook.last_delivered, digits=0),
        "delivery_attempts": webhook.delivery_attempts,
        "last_delivery": None if last is None else structs.replace(last, at=f"{last.at[:19]}Z"),
        "headers": hidden(webhook.headers),
        "timeout": webhook.timeout,
        "max_concurrent": webhook.max_concurrent,
    }


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
