"""How the daemon is doing, in one answer, for operators (tenant-webhooks status shows it)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from daemon import __version__
from daemon.front_end.decoding import NO_BODY
from daemon.front_end.query import NoQuery
from daemon.front_end.routing import Call, House, Reply, Route, nothing, reply
from daemon.front_end.status_views import (
    Database,
    Disk,
    FailingWebhook,
    LastHour,
    Retention,
    StatusView,
    Waiting,
)
from daemon.instants import rfc3339
from daemon.persistence import queries

if TYPE_CHECKING:
    from daemon.model import Millis

WORST = 10


async def status(call: Call[None, None, NoQuery]) -> Reply:
    """Read how the daemon is doing."""
    return reply(status_view(call.house, await call.house.store.read(queries.oldest_event)))


def status_view(house: House, oldest_event: Millis | None) -> StatusView:
    metrics, sources = house.metrics, house.metrics.sources
    assert sources is not None, "the supervisor has given them"
    uptime = time.monotonic() - metrics.started
    size = sources.database()
    return StatusView(
        version=__version__,
        started=rfc3339(metrics.started_at),
        uptime=round(uptime, 1),
        unready=house.ready.reasons(),
        waiting=Waiting(sum(sources.waiting().values()), max(sources.oldest_age().values(), default=None)),
        in_flight=sum(sources.in_flight().values()),
        last_hour=_last_hour(house),
        database=Database(size["main"], size["wal"]),
        disk=Disk(sources.free_bytes(), sources.least_free_bytes),
        retention=Retention(
            days=house.settings.storage.retention_days or None,
            max_bytes=house.settings.storage.max_bytes or None,
            oldest=None if oldest_event is None else rfc3339(oldest_event),
            paused=house.store.retention_paused(),
        ),
    )


def _last_hour(house: House) -> LastHour:
    hour = house.metrics.last_hour
    ended = hour.ended()

    def number(outcome: str) -> int:
        return sum(count for (ended_so, _), count in ended.items() if ended_so == outcome)

    return LastHour(
        since=rfc3339(hour.since),
        whole=hour.whole,
        succeeded=number("succeeded"),
        failed=number("failed"),
        interrupted=number("interrupted"),
        cancelled=number("cancelled"),
        errors={error: count for (_, error), count in ended.most_common() if error},
        worst_webhooks=[
            FailingWebhook(failing.webhook, failing.tenant, failing.failed, failing.margin, failing.error)
            for failing in hour.worst(WORST)
        ],
    )


ROUTES = (
    Route(
        name="getStatus",
        method="GET",
        path="/v1/status",
        access="operator",
        find=nothing,
        body=NO_BODY,
        query=NoQuery,
        handler=status,
        responses=(StatusView,),
        room="operators",
    ),
)
