"""What `GET /v1/status` answers: the records that the daemon makes and the command line reads."""

from __future__ import annotations

from daemon.front_end.views import View
from daemon.model import ErrorCode


class Waiting(View, frozen=True):
    """Pending deliveries of active tenants; `oldest_age` in seconds, null when none waits."""

    deliveries: int
    oldest_age: float | None


class FailingWebhook(View, frozen=True):
    """`failed`: attempts in the last hour; `margin`: how many more there may have been, of very many webhooks."""

    id: str
    tenant: str
    failed: int
    margin: int
    last_error: ErrorCode


class LastHour(View, frozen=True):
    """Deliveries that ended since then: an hour ago, or less when the daemon was started since (`whole` is false)."""

    since: str
    whole: bool
    succeeded: int
    failed: int
    interrupted: int
    cancelled: int
    errors: dict[str, int]
    worst_webhooks: list[FailingWebhook]


class Database(View, frozen=True):
    """Bytes; `wal` is the write-ahead log beside it."""

    size: int
    wal: int


class Disk(View, frozen=True):
    """Bytes; below `least` (storage.min_free_bytes) nothing is accepted. `free` is null if nobody knows."""

    free: int | None
    least: int


class Retention(View, frozen=True):
    """`days` (storage.retention_days) and `max_bytes` (storage.max_bytes): what is older, or more, is deleted; null:
    nothing is for that. `oldest`: since when the oldest event is there; null: there is none. `paused`: why nothing is
    deleted by age just now, null if it is."""

    days: float | None
    max_bytes: int | None
    oldest: str | None
    paused: str | None


class StatusView(View, frozen=True):
    """`unready`: by part, why nothing can be accepted just now; empty when all is well. `uptime` in seconds."""

    version: str
    started: str
    uptime: float
    unready: dict[str, str]
    waiting: Waiting
    in_flight: int
    last_hour: LastHour
    database: Database
    disk: Disk
    retention: Retention
