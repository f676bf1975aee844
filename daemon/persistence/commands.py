"""What may be asked of the writer: one frozen record for each kind of write, with what it answers.

A command is plain data. `execution.py` says what each does to the database, `actor.py` when. Tenants are named by
their `seq`; a webhook, delivery or token that belongs to another tenant than `tenant` does not exist for the command
(`tenant=None` is the operator, for whom all exist).
"""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

from msgspec import UNSET, Struct, UnsetType

from daemon.model import (
    Claimed,
    Delivery,
    Endpoint,
    Finished,
    Millis,
    Permission,
    Recoverable,
    Recovery,
    SigningSecret,
    Tenant,
    Token,
    Webhook,
)

R = TypeVar("R")


class Command(Struct, Generic[R], frozen=True):
    """One write; R is the type of its answer. Raises a `Refusal` where it declines."""


class Internal(Command[R], Generic[R], frozen=True):
    """What the daemon itself has begun: never refused, kept while the storage fails."""


class NewEvent(Struct, frozen=True):
    """An event to publish: `payload` is the body for receivers, encoded once; `fingerprint` identifies the content
    as published and is None without a key."""

    tenant: int
    type: str
    payload: bytes
    idempotency_key: str | None = None
    fingerprint: bytes | None = None


class Published(Struct, frozen=True):
    id: str
    event: str
    created: Millis
    deliveries: int
    duplicate: bool


class Publish(Command[list[Published]], frozen=True):
    """Store the events and one pending delivery for each subscribed active webhook; all or nothing.

    Answers in the order of `events`. Raises `TenantInactive`, `IdempotencyConflict`, `FanOutTooLarge` (with the
    number of events that would fit), `BacklogFull`; the pointer is that of the event (`/events/3`, or empty for
    a single one when `batch` is false). `traceparent` is kept with each event, `request_id` told in the log."""

    events: list[NewEvent]
    batch: bool
    traceparent: str | None = None
    request_id: str | None = None


class Begun(Struct, frozen=True):
    """What a `Publish` comes to whose deliveries are too many for one transaction: its events are on disk, and so is
    which deliveries they make, but these are yet to be made by `FanOut`."""

    published: list[Published]
    fan_out: int


class FanOut(Internal[bool], frozen=True):
    """Make some more of the deliveries that are to be made (`Begun.fan_out`). Answers whether none is left."""

    seq: int


class CreateTenant(Command[Tenant], frozen=True):
    """Raises `Conflict` if the id is taken."""

    id: str
    name: str | None


class UpdateTenant(Command[Tenant], frozen=True):
    """Raises `NotFound`."""

    tenant: int
    name: str | UnsetType | None = UNSET
    active: bool | UnsetType = UNSET


class RemoveTenant(Command[None], frozen=True):
    """Start removing an inactive tenant and all that is its; from the commit on nobody can see it.

    Raises `NotFound`, `Conflict` if it is still active."""

    tenant: int


class CreateToken(Command[Token], frozen=True):
    """`digest` is the SHA-256 of the token's text. Raises `NotFound` (no such tenant)."""

    tenant: int
    name: str | None
    permissions: tuple[Permission, ...]
    expires: Millis | None
    digest: bytes


class RevokeToken(Command[None], frozen=True):
    """Raises `NotFound`."""

    tenant: int
    id: str


class CreateWebhook(Command[Webhook], frozen=True):
    """Raises `NotFound` (tenant removed meanwhile), `LimitReached`."""

    tenant: int
    url: str
    name: str | None
    events: tuple[str, ...]
    active: bool
    secret: bytes
    headers: dict[str, str] = {}
    timeout: float | None = None
    max_concurrent: int | None = None

    def __repr__(self) -> str:
        return f"CreateWebhook(tenant={self.tenant})"


class UpdateWebhook(Command[Webhook], frozen=True):
    """Change what is set: `active=False` cancels what waits, `True` revives. `headers` replace all there are; a value
    of `static_headers.HIDDEN` keeps what is stored. Raises `NotFound`, `LimitReached`, `Conflict` if there is none."""

    tenant: int | None
    id: str
    url: str | UnsetType = UNSET
    name: str | UnsetType | None = UNSET
    events: tuple[str, ...] | UnsetType = UNSET
    active: bool | UnsetType = UNSET
    headers: dict[str, str] | UnsetType = UNSET
    timeout: float | UnsetType | None = UNSET
    max_concurrent: int | UnsetType | None = UNSET

    def __repr__(self) -> str:
        return f"UpdateWebhook({self.id!r})"


class DeleteWebhook(Command[None], frozen=True):
    """Soft: sets `active` to false; a second time changes nothing. Raises `NotFound`."""

    tenant: int | None
    id: str


class RotateSecret(Command[list[SigningSecret]], frozen=True):
    """Put `key` in force; those before it sign on for `overlap` ms at the most. Answers those that sign from the next
    claim on, the newest first. Raises `NotFound`, `Conflict` if it is in force already, `LimitReached`."""

    tenant: int | None
    webhook: str
    key: bytes
    overlap: Millis

    def __repr__(self) -> str:
        return f"RotateSecret({self.webhook!r}, overlap={self.overlap})"


class Redeliver(Command[Delivery], frozen=True):
    """A new pending delivery of the same event to the same webhook. Raises `NotFound`, `NotFinished`,
    `WebhookInactive`, `BacklogFull`."""

    tenant: int | None
    id: str


class Ping(Command[Delivery], frozen=True):
    """A `webhook.ping` event and its one pending delivery. Raises `NotFound`, `WebhookInactive`, `BacklogFull`."""

    tenant: int | None
    webhook: str


class StartRecovery(Command[Recovery], frozen=True):
    """A job that redelivers what is unsuccessful (see `Recovery`) to `webhook`, or to all of the tenant's, or (`tenant`
    None) to all. Raises `NotFound`, `WebhookInactive`, `TenantInactive`, `LimitReached`."""

    tenant: int | None
    webhook: str | None
    since: Millis
    until: Millis
    statuses: tuple[Recoverable, ...]
    total: int | None


class CancelRecovery(Command[Recovery], frozen=True):
    """Make no more redeliveries, and cancel those that wait; one that has ended is left as it is. Raises `NotFound`."""

    tenant: int | None
    id: str


class RecoveryStep(Internal[None], frozen=True):
    """Take a job a bounded step on: one of its webhooks, or (`webhook` 0) find out which more it has. Not kept while
    the storage fails: its position is on disk, and it is asked for again."""

    recovery: int
    webhook: int


class ForgetRecoveries(Internal[None], frozen=True):
    """Delete those that ended long ago, of the next few jobs behind one (a seq)."""

    after: int = 0


class Claim(Struct, frozen=True, array_like=True):
    """Ask for at most `limit` of a webhook's oldest pending deliveries."""

    webhook: int
    limit: int


class Bound(NamedTuple):
    """How a webhook's own limit of attempts at a time has bounded a claim. `most` is that limit, `allowed` what of the
    claim's own limit it left: less came back than that only if no more waits."""

    most: int
    allowed: int


class Progressed(Struct, frozen=True):
    """`recorded`: the seqs of the deliveries whose outcome this command put on disk; one that is missing lost its
    compare-and-set (its row was removed or changed by another) and must not be logged or counted. `postponed`: likewise
    of those put back. `claimed`: the deliveries to attempt now. `endpoints`: their webhooks by seq. `bounds`: those of
    the webhooks claimed for that have a limit of their own."""

    recorded: frozenset[int]
    postponed: frozenset[int]
    claimed: list[Claimed]
    endpoints: dict[int, Endpoint]
    bounds: dict[int, Bound] = {}


class Progress(Internal[Progressed], frozen=True):
    """A tenant actor's step: outcomes recorded, claimed rows that never began put back to pending, new work claimed."""

    tenant: int
    finished: list[Finished]
    postponed: list[Claimed]
    claims: list[Claim]
