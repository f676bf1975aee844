"""The nouns every room shares. Plain frozen records: no I/O, no behaviour, no room's own types.

Instants are integers, milliseconds since the Unix epoch in UTC (`Millis`); durations in `Timings` are milliseconds as
floats. `seq` is a row's place in commit order: it orders lists and queues, and is never shown to anybody.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Struct

from daemon.described import described

Millis = int
Permission = Literal["manage_webhooks", "publish_events"]
Status = Literal["pending", "sending", "succeeded", "failed", "interrupted", "cancelled"]
FinalStatus = Literal["succeeded", "failed", "interrupted"]
ErrorCode = Literal[
    "dns_failed",
    "blocked_address",
    "connect_refused",
    "connect_timeout",
    "connect_failed",
    "tls_failed",
    "send_failed",
    "response_timeout",
    "connection_lost",
    "invalid_response",
    "http_status",
    "internal",
]


class Tenant(Struct, frozen=True):
    """An isolated customer."""

    seq: int
    id: str
    name: str | None
    active: bool
    created: Millis


class Token(Struct, frozen=True):
    """An API credential of one tenant. Only the SHA-256 of its secret is known."""

    id: str
    tenant: int
    name: str | None
    permissions: tuple[Permission, ...]
    created: Millis
    expires: Millis | None
    digest: bytes

    def __repr__(self) -> str:
        return f"Token({self.id!r})"


class LastDelivery(Struct, frozen=True, rename="camel"):
    """The latest attempt at a webhook, good or bad."""

    id: Annotated[str, described("The id of the delivery.", "dlv_019a062d9b80c3f1a8e55d0b7f21a4d6")]
    status: Annotated[FinalStatus, described("How it ended.", "succeeded")]
    status_code: Annotated[int | None, described("What the receiver answered; null without an answer.", 200)]
    error: Annotated[ErrorCode | None, described("Why it failed; null unless it did.", None)]
    at: Annotated[str, described("When it ended.", "2025-10-21T11:00:01Z", format="date-time")]


class Webhook(Struct, frozen=True):
    """A registered URL and the event types it wants. `headers` are sent with each attempt, their names in lower case;
    `timeout` (seconds) and `max_concurrent` are its own, None for what the settings say."""

    seq: int
    id: str
    tenant: int
    url: str
    name: str | None
    events: tuple[str, ...]
    active: bool
    created: Millis
    updated: Millis
    last_delivered: Millis | None
    delivery_attempts: int
    last_delivery: LastDelivery | None
    headers: dict[str, str] = {}
    timeout: float | None = None
    max_concurrent: int | None = None

    def __repr__(self) -> str:
        return f"Webhook({self.id!r})"


class Event(Struct, frozen=True):
    """Something that happened. `payload` is the exact body that receivers are sent."""

    seq: int
    id: str
    tenant: int
    type: str
    created: Millis
    idempotency_key: str | None
    payload: str
    traceparent: str | None = None


class EventSummary(Struct, frozen=True):
    """What a list shows of an event; `deliveries` is how many were made when it was accepted."""

    seq: int
    id: str
    tenant: int
    type: str
    created: Millis
    idempotency_key: str | None
    deliveries: int
    traceparent: str | None


class Timings(Struct, frozen=True, rename="camel"):
    """How long each phase of an attempt took, in milliseconds; null for a phase that did not happen."""

    dns: Annotated[float | None, described("Looking the name up.", 0.3)] = None
    connect: Annotated[float | None, described("Opening the TCP connection.", 1.2)] = None
    tls: Annotated[float | None, described("The TLS handshake.", 4.0)] = None
    first_byte: Annotated[float | None, described("From the request's end to the answer's first byte.", 20.1)] = None
    total: Annotated[float | None, described("The whole attempt.", 25.7)] = None


class Outcome(Struct, frozen=True):
    """How an attempt ended, as it is recorded. `error` is None exactly when the status is `succeeded`
    (or `interrupted`: nobody knows). `response_body` is text, capped, and never None once a final head was read."""

    status: FinalStatus
    started: Millis
    finished: Millis
    status_code: int | None = None
    error: ErrorCode | None = None
    error_detail: str | None = None
    timings: Timings = Timings()
    remote_address: str | None = None
    reused_connection: bool = False
    response_headers: dict[str, str] | None = None
    response_body: str | None = None
    response_body_truncated: bool = False


class Delivery(Struct, frozen=True):
    """One attempt, made or to be made, to bring one event to one webhook: the record of it."""

    seq: int
    id: str
    event: str
    event_type: str
    tenant: int
    webhook: str
    url: str
    status: Status
    created: Millis
    started: Millis | None
    finished: Millis | None
    status_code: int | None
    error: ErrorCode | None
    error_detail: str | None
    timings: Timings
    remote_address: str | None
    reused_connection: bool
    redelivery_of: str | None
    response_headers: dict[str, str] | None = None
    response_body: str | None = None
    response_body_truncated: bool = False


RecoveryStatus = Literal["running", "completed", "cancelled"]
Recoverable = Literal["failed", "interrupted"]


class Recovery(Struct, frozen=True):
    """A job that redelivers what did not arrive: deliveries created from `since` until before `until`, with one of
    `statuses`. `tenant` and `webhook` (its id) None: of all. `total`: how many there were to examine when it began,
    None for very many. Of those `examined`, each was `skipped` or `redelivered`; so many of the latter have ended each
    way."""

    seq: int
    id: str
    tenant: int | None
    webhook: str | None
    since: Millis
    until: Millis
    statuses: tuple[Recoverable, ...]
    status: RecoveryStatus
    reason: str | None
    created: Millis
    finished: Millis | None
    total: int | None
    examined: int
    skipped: int
    redelivered: int
    succeeded: int
    failed: int
    interrupted: int
    cancelled: int


class Endpoint(Struct, frozen=True):
    """What an attempt needs to know of a webhook, as it stood when the delivery was claimed.

    `secrets` sign in this order, the newest first; each is the raw key, not its `whsec_` form. `headers` is the JSON
    of the webhook's own; `timeout` in seconds."""

    seq: int
    id: str
    tenant: str
    url: str
    secrets: tuple[bytes, ...]
    headers: str | None = None
    timeout: float | None = None

    def __repr__(self) -> str:
        return f"Endpoint({self.id!r})"


class SigningSecret(Struct, frozen=True):
    """A raw key and when it ends (None: not before it is replaced)."""

    key: bytes
    created: Millis
    expires: Millis | None

    def __repr__(self) -> str:
        return f"SigningSecret(created={self.created}, expires={self.expires})"


class Claimed(Struct, frozen=True, array_like=True):
    """A delivery that this process has set to `sending` on disk and must now attempt, once."""

    seq: int
    webhook: int
    id: str
    event: str
    event_type: str
    payload: str
    redelivery: bool
    traceparent: str | None = None


class Finished(Struct, frozen=True):
    """An attempt that has ended and whose outcome is not on disk yet."""

    delivery: Claimed
    outcome: Outcome
