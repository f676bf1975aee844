"""What fields of several records are, each said once: identifiers, times, names. Documents show what is said here.

`IDENTIFIERS` names the type of a path's variable by the collection that stands before it: `/v1/webhooks/{id}` has the
id of a webhook. A record's field of the same type is where a client finds such an id.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Raw, UnsetType

from daemon.described import described

WebhookId = Annotated[str, described("The id of a webhook.", "w1X2y3Z4", pattern="^w[0-9A-Za-z]{7}$")]
DeliveryId = Annotated[
    str, described("The id of a delivery.", "dlv_019a062d9b80c3f1a8e55d0b7f21a4d6", pattern="^dlv_[0-9a-f]{32}$")
]
EventId = Annotated[
    str,
    described(
        "The id of an event; receivers get it as webhook-id.",
        "evt_019a062d9b80a84e4cf0f13b6d02c95e",
        pattern="^evt_[0-9a-f]{32}$",
    ),
]
RecoveryId = Annotated[
    str, described("The id of a recovery.", "rec_019a062d9b80c3f1a8e55d0b7f21a4d6", pattern="^rec_[0-9a-f]{32}$")
]
TokenId = Annotated[str, described("The id of a token.", "tok_5b1fd2e09c7a4e83", pattern="^tok_[0-9a-f]{16}$")]
TenantName = Annotated[str, described("The id of a tenant.", "acme", pattern="^[a-z0-9][a-z0-9_-]{0,62}$")]
ProblemSlug = Annotated[str, described("The last part of a problem's type.", "not-found", pattern="^[a-z-]+$")]


Moment = Annotated[
    str, described("RFC 3339, UTC, three digits of fraction.", "2025-10-21T10:00:00.000Z", format="date-time")
]
Second = Annotated[str, described("RFC 3339, UTC, in whole seconds.", "2025-10-21T10:00:00Z", format="date-time")]
OWN_NAMES = {"x-event-type": True}
"""Marks what is the name of an event type: in a document it says which there are, of the configuration too."""
SubscribedName = Annotated[str, described("An event type to subscribe to.", "onboard.session.completed", **OWN_NAMES)]
EventName = Annotated[str, described("The event type.", "onboard.session.completed")]
EventTypeName = Annotated[
    str, described("The name of an event type.", "onboard.session.completed", pattern="^[a-z0-9._-]+$")
]
Name = Annotated[str, Meta(max_length=255), described("A name for people; null clears it.", "Production")]
ReadOnly = Annotated[
    Raw | UnsetType, described("Accepted and ignored, so that what GET shows may be sent back.", readOnly=True)
]
"""Accepted and ignored, whatever it is: what GET shows may be sent back."""

IDENTIFIERS: dict[str, Any] = {
    "webhooks": WebhookId,
    "deliveries": DeliveryId,
    "events": EventId,
    "recoveries": RecoveryId,
    "event-types": EventTypeName,
    "tenants": TenantName,
    "tokens": TokenId,
    "problems": ProblemSlug,
}
