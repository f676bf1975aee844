"""What clients send of a webhook: a registration, and changes to one."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Struct, UnsetType

from daemon.described import described
from daemon.front_end.fields import Name, ReadOnly, SubscribedName
from daemon.front_end.signing_keys import OwnSecret
from daemon.front_end.webhook_options import Headers, MaxConcurrent, Timeout

Target = Annotated[
    str,
    described(
        "Where to send to: an absolute URL without credentials and fragment, better with https than http.",
        "https://yourapp.example/webhooks",
        format="uri",
        maxLength=2048,
    ),
]
Wanted = Annotated[
    list[SubscribedName], described("The event types it wants.", ["onboard.session.completed"], minItems=1)
]
Active = Annotated[bool, described("False: nothing is sent to it.", True)]


IgnoredSecret = Annotated[
    ReadOnly,
    described("Ignored, so that the answer to a registration may be sent back: rotation changes a secret."),
]


class _Submitted(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    id: ReadOnly = UNSET
    created: ReadOnly = UNSET
    updated: ReadOnly = UNSET
    last_delivered: ReadOnly = UNSET
    delivery_attempts: ReadOnly = UNSET
    last_delivery: ReadOnly = UNSET

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class NewWebhook(_Submitted, frozen=True, kw_only=True):
    """A registration; null stands for left out. Without events it gets onboard.session.completed. To make another
    webhook that is signed with the same secret, send the answer to one again; put the values of its headers in, if it
    has some: the answer hides them."""

    url: Target
    name: Name | None = None
    events: Wanted | None = None
    active: Active | None = None
    secret: OwnSecret | None = None
    headers: Headers | None = None
    timeout: Timeout | None = None
    max_concurrent: MaxConcurrent | None = None


class WebhookChanges(_Submitted, frozen=True, kw_only=True):
    """Changes to what is given; null stands for left out, but name, headers, timeout and maxConcurrent are cleared by
    it. The headers replace all that there are."""

    url: Target | None = None
    name: Name | UnsetType | None = UNSET
    events: Wanted | None = None
    active: Active | None = None
    secret: IgnoredSecret = UNSET
    headers: Headers | UnsetType | None = UNSET
    timeout: Timeout | UnsetType | None = UNSET
    max_concurrent: MaxConcurrent | UnsetType | None = UNSET
