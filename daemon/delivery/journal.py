"""What operators see of deliveries: one log line and one count for each, after the commit, for what it changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from daemon.model import ErrorCode, FinalStatus, Timings
from daemon.operations.logs import get_logger
from daemon.tracing import of_attempt

if TYPE_CHECKING:
    from daemon.model import Claimed, Endpoint, Outcome

_log = get_logger()


class Counters(Protocol):
    """The part of the daemon's metrics that deliveries move."""

    def attempt(self, endpoint: Endpoint, outcome: Outcome) -> None: ...
    def interrupted(self, count: int, tenant: str) -> None: ...
    def postponed(self, count: int) -> None: ...


class _Attempted(Struct, frozen=True, omit_defaults=True):
    """The fields of the line that there is one of for each attempt, in their order; `traceparent` as it was sent."""

    tenant: str
    webhook: str
    delivery: str
    event_id: str
    event_type: str
    status: FinalStatus
    status_code: int | None
    error: ErrorCode | None
    timings: Timings
    redelivery: bool
    traceparent: str | None = None


class Journal:
    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def recorded(self, delivery: Claimed, endpoint: Endpoint, outcome: Outcome) -> None:
        """The outcome is on disk."""
        if outcome.status == "interrupted":
            self._counters.interrupted(1, endpoint.tenant)
            _log.warning(
                "delivery.interrupted",
                tenant=endpoint.tenant,
                webhook=endpoint.id,
                delivery=delivery.id,
                event_id=delivery.event,
                event_type=delivery.event_type,
                redelivery=delivery.redelivery,
                status=outcome.status,
                reason="The daemon stopped during the attempt.",
            )
            return
        self._counters.attempt(endpoint, outcome)
        _log.record(
            "delivery.attempted",
            _Attempted(
                endpoint.tenant,
                endpoint.id,
                delivery.id,
                delivery.event,
                delivery.event_type,
                outcome.status,
                outcome.status_code,
                outcome.error,
                outcome.timings,
                delivery.redelivery,
                None if delivery.traceparent is None else of_attempt(delivery.traceparent, delivery.id),
            ),
        )

    def postponed(self, delivery: Claimed, endpoint: Endpoint, detail: str) -> None:
        """The delivery is pending again: it was not attempted."""
        self._counters.postponed(1)
        _log.warning(
            "delivery.postponed",
            tenant=endpoint.tenant,
            webhook=endpoint.id,
            delivery=delivery.id,
            event_id=delivery.event,
            event_type=delivery.event_type,
            detail=detail,
        )
