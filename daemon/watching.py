"""Where the metrics look: what the actors say of themselves, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.operations.gauges import Sources

if TYPE_CHECKING:
    from daemon.delivery.router import Router
    from daemon.operations.health import Readiness
    from daemon.operations.log_writer import LogWriter
    from daemon.persistence.actor import Persistence


def sources(store: Persistence, router: Router, ready: Readiness, writer: LogWriter) -> Sources:
    return Sources(
        waiting=store.waits.by_tenant,
        oldest_age=store.waits.oldest_by_tenant,
        recoveries=lambda: store.recoveries,
        in_flight=lambda: store.registry.named(router.in_flight_by_tenant()),
        log_dropped=lambda: writer.dropped,
        ready=lambda: not ready.reasons(),
        database=store.space.size,
        free_bytes=store.space.free,
        least_free_bytes=store.space.least,
    )
