"""Signing secrets of webhooks: read, and replaced while the old one still signs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from daemon.delivery.signing import format_secret
from daemon.front_end.decoding import NO_BODY, optional_body_of
from daemon.front_end.query import NoQuery
from daemon.front_end.routes.webhooks import find_webhook
from daemon.front_end.routing import Call, Reply, Route, found, reply
from daemon.front_end.signing_keys import OwnSecret, key_of
from daemon.front_end.webhook_views import SigningSecretView, signing_secret_view
from daemon.identifiers import now_ms
from daemon.operations.logs import get_logger
from daemon.persistence import queries
from daemon.persistence.commands import RotateSecret

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.model import SigningSecret, Webhook

log = get_logger()

_HOUR = 3_600_000

OverlapHours = Annotated[
    int,
    Meta(
        ge=0,
        le=168,
        description="For how many hours the secret in force until now goes on signing beside the new one, so that "
        "receivers can change over meanwhile. Secrets from before that one end then too, if they would not have ended "
        "earlier. 0 ends all of them at once: for a secret that has leaked. null stands for left out: 24.",
        examples=[24],
    ),
]


class Rotation(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How to replace the secret; no body at all stands for `{}`. What has been claimed for sending already is still
    signed as before."""

    overlap_hours: OverlapHours | None = None
    secret: OwnSecret | None = None

    def __repr__(self) -> str:
        return f"Rotation(overlap_hours={self.overlap_hours})"


async def read(call: Call[Webhook, None, NoQuery]) -> Reply:
    """Read the secret of a webhook.

    The one in force, with which a receiver verifies, and until when older ones sign too."""
    return _reply(await call.house.reads.read(call.owner, queries.secrets, call.object.seq))


async def rotate(call: Call[Webhook, Rotation, NoQuery]) -> Reply:
    """Replace the secret of a webhook.

    From the next attempt that begins, deliveries carry a signature by it and by each
    that has not ended. Its `updated` stays as it is."""
    webhook, body = call.object, call.body
    hours = 24 if body.overlap_hours is None else body.overlap_hours
    command = RotateSecret(call.owner, webhook.id, key_of(body.secret), hours * _HOUR)
    secrets = await call.house.execute(command)
    tenant = call.house.store.registry.tenant(webhook.tenant)
    log.info(
        "webhook.secret_rotated",
        tenant=tenant and tenant.id,
        webhook=webhook.id,
        overlap_hours=hours,
        own=body.secret is not None,
        signing=len(secrets),
    )
    return _reply(secrets)


def _reply(secrets: Sequence[SigningSecret]) -> Reply:
    """Raises Problem `not-found`: its tenant has been removed meanwhile."""
    now = now_ms()
    current = found(next((secret for secret in secrets if secret.expires is None), None))
    previous = [secret for secret in secrets if secret.expires is not None and secret.expires > now]
    return reply(signing_secret_view(current, previous, format_secret(current.key)))


ROUTES = (
    Route(
        name="getWebhookSecret",
        method="GET",
        path="/v1/webhooks/{id}/secret",
        access="manage_webhooks",
        find=find_webhook,
        body=NO_BODY,
        query=NoQuery,
        handler=read,
        responses=(SigningSecretView,),
        prefixed=True,
    ),
    Route(
        name="rotateWebhookSecret",
        method="POST",
        path="/v1/webhooks/{id}/secret/rotate",
        access="manage_webhooks",
        find=find_webhook,
        body=optional_body_of(Rotation),
        query=NoQuery,
        handler=rotate,
        responses=(SigningSecretView,),
        problems=("conflict", "limit-reached"),
        prefixed=True,
    ),
)
