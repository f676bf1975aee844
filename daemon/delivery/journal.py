"""What operators see of deliveries: one log line and one count for each, after the commit, for what it changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from daemon.operations.logs import get_logger

if TYPE_CHECKING:
    from daemon.model import Claimed, Endpoint, Outcome

_log = get_logger()


class Counters(Protocol):
    """The part of the daemon's metrics that deliveries move."""

    def attempt(self, outcome: Outcome) -> None: ...
    def interrupted(self, count: int) -> None: ...
    def postponed(self, count: int) -> None: ...


class Journal:
    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def recorded(self, delivery: Claimed, endpoint: Endpoint, outcome: Outcome) -> None:
        """The outcome is on disk."""
        if outcome.status == "interrupted":
            self._counters.interrupted(1)
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
        self._counters.attempt(outcome)
        _log.info(
            "delivery.attempted",
            tenant=endpoint.tenant,
            webhook=endpoint.id,
            delivery=delivery.id,
            event_id=delivery.event,
            event_type=delivery.event_type,
            status=outcome.status,
            status_code=outcome.status_code,
            error=outcome.error,
            timings=outcome.timings,
            redelivery=delivery.redelivery,
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
