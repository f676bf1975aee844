"""Why the daemon declines to do what it was asked: raised by the rooms that know, worded for the person who asked.

Each class is one problem type of CONTRACT §7 (`slug`). A refusal changed nothing; `OutcomeUnknown` alone may have.
"""

from __future__ import annotations

from typing import ClassVar


class Refusal(Exception):
    """`detail` says what to change; `pointer` is the JSON Pointer of the culprit in the request's body, if one is."""

    slug: ClassVar[str]

    def __init__(self, detail: str, *, pointer: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.pointer = pointer


class NotFound(Refusal):
    slug = "not-found"


class Conflict(Refusal):
    slug = "conflict"


class IdempotencyConflict(Refusal):
    slug = "idempotency-conflict"


class NotFinished(Refusal):
    slug = "not-finished"


class WebhookInactive(Refusal):
    slug = "webhook-inactive"


class TenantInactive(Refusal):
    slug = "tenant-inactive"


class LimitReached(Refusal):
    slug = "limit-reached"


class FanOutTooLarge(Refusal):
    slug = "fan-out-too-large"


class BacklogFull(Refusal):
    slug = "backlog-full"


class StorageUnavailable(Refusal):
    slug = "storage-unavailable"


class Draining(Refusal):
    slug = "draining"


class OutcomeUnknown(Refusal):
    """A commit under way outlasted every bound: the work may or may not be on disk."""

    slug = "outcome-unknown"
