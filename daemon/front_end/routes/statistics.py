"""How a webhook has fared."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from daemon.front_end.decoding import NO_BODY
from daemon.front_end.problems import Culprit, invalid
from daemon.front_end.query import NoQuery
from daemon.front_end.routes.webhooks import find_webhook
from daemon.front_end.routing import Call, Reply, Route, reply
from daemon.front_end.views import View
from daemon.identifiers import now_ms
from daemon.instants import rfc3339
from daemon.model import ErrorCode, Status
from daemon.persistence.statistics import statistics

if TYPE_CHECKING:
    from daemon.model import Millis, Webhook

_WINDOW = re.compile(r"([1-9][0-9]{0,3})([mhd])", re.ASCII)
_UNITS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DAY = 86_400_000

DEFAULT_WINDOW = "24h"

Window = Annotated[
    str,
    Meta(
        description="How far back: a number with m, h or d. Left out: 24h. No further than `storage.retention_days`.",
        examples=["1h", "24h", "7d"],
    ),
]


class DurationsView(View, frozen=True):
    """Percentiles of how long attempts that succeeded or failed took, in milliseconds; null if there were none."""

    p50: int | None
    p95: int | None
    p99: int | None


class StatisticsView(View, frozen=True):
    """How a webhook has fared with the deliveries created between `since` and `until`, pings aside. `complete` is false
    where the window has more than are counted: `since` is then later than asked for, and the numbers are exact from
    there on. `successRatio`: of those that succeeded or failed. `failingSince` and `consecutiveFailures` have no
    window: when the first failure after the last success ended, and how many there are."""

    webhook: str
    window: str
    since: str
    until: str
    complete: bool
    outcomes: dict[Status, int]
    errors: dict[ErrorCode, int]
    success_ratio: float | None
    duration: DurationsView
    failing_since: str | None
    consecutive_failures: int


class StatisticsQuery(NoQuery, frozen=True, kw_only=True):
    window: Window | None = None


async def get(call: Call[Webhook, None, StatisticsQuery]) -> Reply:
    webhook, now = call.object, now_ms()
    window = DEFAULT_WINDOW if call.query.window is None else call.query.window
    kept = round(call.house.settings.storage.retention_days * _DAY)
    since = now - min(milliseconds(window), kept or now)
    found = await call.house.reads.read(call.owner, statistics, webhook.seq, since)
    ended = found.statuses.get("succeeded", 0) + found.statuses.get("failed", 0)
    durations = found.durations
    view = StatisticsView(
        webhook=webhook.id,
        window=window,
        since=rfc3339(found.since),
        until=rfc3339(now),
        complete=found.complete,
        outcomes=found.statuses,
        errors=found.errors,
        success_ratio=round(found.statuses.get("succeeded", 0) / ended, 6) if ended else None,
        duration=DurationsView(durations.p50, durations.p95, durations.p99),
        failing_since=None if found.failing_since is None else rfc3339(found.failing_since),
        consecutive_failures=found.consecutive_failures,
    )
    return reply(view)


def milliseconds(window: str) -> Millis:
    """Raises Problem `invalid`."""
    match = _WINDOW.fullmatch(window)
    if match is None:
        wrong = "must be a number from 1 to 9999 with m, h or d, such as 90m, 24h or 7d"
        raise invalid([Culprit(wrong, parameter="window")])
    return int(match[1]) * _UNITS[match[2]]


ROUTES = (
    Route(
        name="getWebhookStatistics",
        method="GET",
        path="/v1/webhooks/{id}/stats",
        access="manage_webhooks",
        find=find_webhook,
        body=NO_BODY,
        query=StatisticsQuery,
        handler=get,
        responses=(StatisticsView,),
        prefixed=True,
    ),
)
