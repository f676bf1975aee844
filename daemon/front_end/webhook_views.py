"""What clients see of webhooks and of how they are signed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta, structs

from daemon.described import described
from daemon.front_end.fields import Second, WebhookId
from daemon.front_end.views import Flag, Url, View
from daemon.instants import rfc3339
from daemon.model import LastDelivery, Webhook
from daemon.static_headers import hidden

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.model import SigningSecret


class WebhookView(View, frozen=True):
    """A registered URL and the events it wants."""

    id: WebhookId
    url: Annotated[Url, described("Where its events are sent.")]
    name: Annotated[str | None, described("A name for people.", "Production")]
    events: Annotated[tuple[str, ...], described("The event types it wants.", ["onboard.session.completed"])]
    active: Annotated[Flag, described("False: nothing is sent to it. A deleted webhook is inactive.")]
    created: Annotated[Second, described("When it was registered.")]
    updated: Annotated[Second, described("When it was last changed.")]
    last_delivered: Annotated[Second | None, described("When a delivery last succeeded.", "2025-10-21T11:00:01Z")]
    delivery_attempts: Annotated[int, described("How many attempts failed so far; a success does not lower it.", 0)]
    last_delivery: Annotated[LastDelivery | None, described("The latest attempt, good or bad.")]
    headers: Annotated[
        dict[str, str],
        described(
            "Sent with each delivery beside ours. The values are secrets and are shown as ***.",
            {"authorization": "***"},
        ),
    ]
    timeout: Annotated[float | None, described("Seconds that one attempt may take; null: delivery.timeout.", 5.0)]
    max_concurrent: Annotated[
        int | None,
        described("Attempts at a time; 1: in the order of acceptance. null: delivery.max_concurrent_per_webhook.", 1),
    ]


class CreatedWebhook(WebhookView, frozen=True):
    """A webhook just registered, with its secret beside the rest."""

    secret: Annotated[
        str,
        described(
            "Signs its deliveries (Standard Webhooks): whsec_ and base64.",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=",
        ),
    ]

    def __repr__(self) -> str:
        return f"CreatedWebhook({self.id!r})"


class PreviousSecret(View, frozen=True):
    """A secret that was replaced and still signs."""

    created: Annotated[Second, described("Since when it was in force.")]
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
