"""What operators see of publishing: one log line a request and one count, after the commit. It is not the handler's to
do: its client may have gone, what it published has not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.operations.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.operations.metrics import Metrics
    from daemon.persistence.commands import Publish, Published
    from daemon.persistence.registry import Registry

log = get_logger()


def tell(command: Publish, answer: Sequence[Published], registry: Registry, metrics: Metrics) -> None:
    new = [published for published in answer if not published.duplicate]
    if not new:
        return
    metrics.events_accepted(len(new))
    found = [registry.tenant(seq) for seq in {event.tenant for event in command.events}]
    tenants = sorted(tenant.id for tenant in found if tenant is not None)
    log.info(
        "event.accepted",
        tenant=tenants[0] if len(tenants) == 1 else tenants,
        count=len(new),
        first=new[0].id,
        last=new[-1].id,
        deliveries=sum(published.deliveries for published in new),
        **_told(request_id=command.request_id, traceparent=command.traceparent),
    )


def _told(**fields: str | None) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value is not None}
