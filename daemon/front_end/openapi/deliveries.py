"""What receivers are sent, as the document's `webhooks`: the daemon is the client there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.events import PING, SESSION_COMPLETED, SentPing, SentSessionEvent
from daemon.front_end.headers import TRACEPARENT, Header
from daemon.front_end.openapi.examples import example
from daemon.front_end.openapi.headers import header_parameters

if TYPE_CHECKING:
    from daemon.front_end.openapi.schemas import Schema, Schemas

SENT = {
    SESSION_COMPLETED: (SentSessionEvent, "A session has been completed"),
    PING: (SentPing, "Somebody has pinged the webhook"),
}
"""By event type, what its payload is and when it is sent."""

_HEADERS = (
    Header(
        "webhook-id",
        "The event's id, the same on every redelivery: drop what you have seen.",
        "evt_019a062d9b80a84e4cf0f13b6d02c95e",
        required=True,
    ),
    Header("webhook-timestamp", "Unix seconds of this attempt: refuse what is old.", "1761044400", required=True),
    Header(
        "webhook-signature",
        "v1,<base64 of HMAC-SHA256 over “id.timestamp.body”>; one for each secret in force, separated by spaces.",
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        required=True,
    ),
    Header("user-agent", "Who sends.", "Tenant-Webhooks/0.1.0", required=True),
)

_DESCRIPTION = (
    "One POST for each event to each active webhook that wants it, and no automatic retry. It is signed as the "
    "Standard Webhooks specification 1.0.0 says: verify it over the bytes as they came, before reading them."
)


def webhooks(schemas: Schemas) -> dict[str, Any]:
    """By event type, the request that receivers get."""
    return {
        name: {"post": sent(name, summary, schemas.of(kind), example(schemas.of(kind), schemas))}
        for name, (kind, summary) in SENT.items()
    }


def sent(name: str, summary: str, schema: Schema, shown: Any) -> dict[str, Any]:
    """The operation of a receiver of one event type. `shown` is an example of the body, None if there is none."""
    return {
        "operationId": "receive." + name,
        "tags": ["receivers"],
        "summary": summary,
        "description": _DESCRIPTION,
        "security": [],
        "parameters": [{**parameter, "required": True} for parameter in header_parameters(_HEADERS)]
        + header_parameters((TRACEPARENT,)),
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": schema, **({} if shown is None else {"example": shown})}},
        },
        "responses": {
            "2XX": {"description": "It has arrived. The body may be anything; its beginning is kept for people."},
            "default": {"description": "It has failed, redirects too. It is recorded, and not sent again by itself."},
        },
    }
