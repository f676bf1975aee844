"""What `GET /v1/status` answers: the records that the daemon makes and the command line reads."""

from __future__ import annotations

from typing import Annotated

from daemon.described import described
from daemon.front_end.fields import Moment, TenantName, WebhookId
from daemon.front_end.views import View
from daemon.model import ErrorCode


class Waiting(View, frozen=True):
    """Pending deliveries of active tenants."""

    deliveries: Annotated[int, described("How many wait.", 12)]
    oldest_age: Annotated[float | None, described("Seconds that the oldest has waited; null when none waits.", 0.4)]


class FailingWebhook(View, frozen=True):
    """A webhook whose attempts failed in the last hour."""

    id: WebhookId
    tenant: TenantName
    failed: Annotated[int, described("Attempts that failed.", 7)]
    margin: Annotated[int, described("By how many that may be too high, when very many webhooks fail.", 0)]
    last_error: Annotated[ErrorCode, described("Why the latest failed.", "connect_refused")]


class LastHour(View, frozen=True):
    """Deliveries that ended in the last hour."""

    since: Annotated[Moment, described("From when on they are counted.")]
    whole: Annotated[bool, described("False: the daemon was started since, and the hour is shorter.", True)]
    succeeded: Annotated[int, described("Answered with 200 to 299.", 1432)]
    failed: Annotated[int, described("Anything else that happened.", 7)]
    interrupted: Annotated[int, described("Cut off by a stop or a crash: they may have arrived.", 0)]
    cancelled: Annotated[int, described("Not begun, because the webhook was deactivated.", 0)]
    errors: Annotated[dict[str, int], described("How many failed in which way.", {"connect_refused": 7})]
    worst_webhooks: Annotated[list[FailingWebhook], described("Those with the most failures, the worst first.")]


class Database(View, frozen=True):
    """The size of the database."""

    size: Annotated[int, described("Bytes of the file.", 8_388_608)]
    wal: Annotated[int, described("Bytes of the write-ahead log beside it.", 1_048_576)]


class Disk(View, frozen=True):
    """The disk that the database is on."""

    free: Annotated[int | None, described("Bytes that are free; null if nobody knows.", 52_428_800_000)]
    least: Annotated[int, described("storage.min_free_bytes: with less free nothing is accepted.", 67_108_864)]


class Retention(View, frozen=True):
    """How long events are kept."""

    days: Annotated[float | None, described("storage.retention_days; null: nothing is deleted for its age.", 30)]
    max_bytes: Annotated[int | None, described("storage.max_bytes; null: nothing is deleted for its size.", None)]
    oldest: Annotated[Moment | None, described("When the oldest event there is was accepted; null: there is none.")]
    paused: Annotated[str | None, described("Why nothing is deleted by age just now; null: it is.", None)]


class StatusView(View, frozen=True):
    """How the daemon is doing."""

    version: Annotated[str, described("What is running.", "0.1.0")]
    started: Annotated[Moment, described("When it was started.")]
    uptime: Annotated[float, described("Seconds since then.", 86_400.5)]
    unready: Annotated[
        dict[str, str], described("By part, why nothing can be accepted just now; empty when all is well.", {})
    ]
    waiting: Waiting
    in_flight: Annotated[int, described("Attempts under way.", 3)]
    last_hour: LastHour
    database: Database
    disk: Disk
    retention: Retention
