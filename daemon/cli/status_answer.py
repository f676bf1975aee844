"""What `GET /v1/status` answers, as far as the command line shows it. Fields that are new are left alone."""

from __future__ import annotations

from msgspec import Struct


class Waiting(Struct, frozen=True, rename="camel"):
    deliveries: int
    oldest_age: float | None


class FailingWebhook(Struct, frozen=True, rename="camel"):
    id: str
    tenant: str
    failed: int
    margin: int
    last_error: str

    @property
    def most(self) -> int:
        return self.failed + self.margin


class LastHour(Struct, frozen=True, rename="camel"):
    since: str
    whole: bool
    succeeded: int
    failed: int
    interrupted: int
    cancelled: int
    errors: dict[str, int]
    worst_webhooks: list[FailingWebhook]


class Database(Struct, frozen=True):
    size: int
    wal: int


class Disk(Struct, frozen=True):
    free: int | None
    least: int


class Retention(Struct, frozen=True):
    days: float | None
    oldest: str | None


class Status(Struct, frozen=True, rename="camel"):
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
