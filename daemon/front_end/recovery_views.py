"""The records of recoveries that clients see and send."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from daemon.described import described
from daemon.front_end.fields import Moment, RecoveryId
from daemon.front_end.views import View
from daemon.instants import rfc3339
from daemon.model import Recoverable, Recovery, RecoveryStatus

_Given = Annotated[
    str,
    described("RFC 3339 with a zone; about when deliveries were created.", "2025-10-21T08:00:00Z", format="date-time"),
]
_Number = Annotated[int, Meta(ge=0)]


class NewRecovery(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What to redeliver: deliveries created from since until before until (left out: now) that ended so. With dryRun
    they are only counted, and nothing changes."""

    since: _Given
    until: _Given | None = None
    statuses: (
        Annotated[list[Recoverable], Meta(min_length=1, max_length=10, description="Left out or null: both.")] | None
    ) = None
    dry_run: Annotated[bool, Meta(description="true: only count; nothing is stored or sent.")] | None = None


class RecoveryView(View, frozen=True, kw_only=True):
    """A job that redelivers what did not arrive, each event once, a few at a time."""

    id: RecoveryId
    tenant: Annotated[str, Meta(description="Whose; null: all tenants'.", examples=["acme"])] | None
    webhook: Annotated[str, Meta(description="To which; null: all.", examples=["w1X2y3Z4"])] | None
    since: Annotated[Moment, described("Of deliveries created then or later.")]
    until: Annotated[Moment, described("Of deliveries created before.")]
    statuses: Annotated[tuple[Recoverable, ...], described("Of deliveries that ended so.", ["failed", "interrupted"])]
    status: Annotated[
        RecoveryStatus,
        Meta(description="cancelled: no more is redelivered; what was being sent then is still counted as it ends."),
    ]
    reason: Annotated[str, Meta(description="Why it was cancelled.")] | None
    created: Annotated[Moment, described("When it was asked for.")]
    finished: Annotated[Moment | None, described("When it ended; null: it goes on.", None)]
    total: (
        Annotated[
            int,
            Meta(ge=0, description="How many deliveries there were to examine; null: more than a million."),
        ]
        | None
    )
    examined: Annotated[int, Meta(ge=0, description="How many have been: skipped and redelivered ones.")]
    skipped: Annotated[
        int,
        Meta(ge=0, description="Their event has arrived since, is on its way, or was attempted again; or were pings."),
    ]
    redelivered: Annotated[int, Meta(ge=0, description="New deliveries that were made; they ended as the next say.")]
    waiting: Annotated[int, Meta(ge=0, description="Of these: pending, being sent, or not counted yet.")]
    succeeded: Annotated[_Number, described("Redeliveries that arrived.")]
    failed: Annotated[_Number, described("Redeliveries that failed again.")]
    interrupted: Annotated[_Number, described("Redeliveries that were cut off.")]
    cancelled: Annotated[_Number, described("Redeliveries that were not begun.")]


class RecoveryCount(View, frozen=True, kw_only=True):
    """What a recovery would do if it began now."""

    dry_run: Annotated[bool, described("Always true.")] = True
    examined: Annotated[int, Meta(ge=0, description="How many deliveries it would look at.")]
    skipped: Annotated[int, Meta(ge=0, description="How many of them it would leave alone.")]
    redelivered: Annotated[int, Meta(ge=0, description="How many new deliveries it would make.")]
    complete: Annotated[bool, Meta(description="false: there are more than could be counted in a moment.")]


def recovery_view(recovery: Recovery, tenant: str | None) -> RecoveryView:
    """`tenant`: its owner's id."""
    ended = recovery.succeeded + recovery.failed + recovery.interrupted + recovery.cancelled
    return RecoveryView(
        id=recovery.id,
        tenant=tenant,
        webhook=recovery.webhook,
        since=rfc3339(recovery.since),
        until=rfc3339(recovery.until),
        statuses=recovery.statuses,
        status=recovery.status,
        reason=recovery.reason,
        created=rfc3339(recovery.created),
        finished=None if recovery.finished is None else rfc3339(recovery.finished),
        total=recovery.total,
        examined=recovery.examined,
        skipped=recovery.skipped,
        redelivered=recovery.redelivered,
        waiting=recovery.redelivered - ended,
        succeeded=recovery.succeeded,
        failed=recovery.failed,
        interrupted=recovery.interrupted,
        cancelled=recovery.cancelled,
    )
