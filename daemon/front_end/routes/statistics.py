"""How a webhook has fared."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

from daemon.described import described
from daemon.front_end.decoding import NO_BODY
from daemon.front_end.fields import Moment, WebhookId
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
    described(
        "How far back: a number with m, h or d. Left out: 24h. No further than storage.retention_days.",
        "24h",
        pattern="^[1-9][0-9]{0,3}[mhd]$",
    ),
]


class DurationsView(View, frozen=True):
    """How long attempts that succeeded or failed took, in milliseconds; null if there were none."""

    p50: Annotated[int | None, described("Half of them took no longer.", 21)]
    p95: Annotated[int | None, described("95 of 100 took no longer.", 48)]
    p99: Annotated[int | None, described("99 of 100 took no longer.", 130)]


class StatisticsView(View, frozen=True):
    """How a webhook has fared with the deliveries created in a window of time, pings aside."""

    webhook: WebhookId
    window: Annotated[str, described("As it was asked for; what is kept may not go back so far: see since.", "24h")]
    since: Annotated[Moment, described("From when on they were created.")]
    until: Annotated[Moment, described("Now.")]
    complete: Annotated[
        bool,
        described(
            "False where the window has more than are counted: since is then later than asked for, and the numbers are "
            "exact from there on.",
            True,
        ),
    ]
    outcomes: Annotated[dict[Status, int], described("How many are in which status.", {"succeeded": 98, "failed": 2})]
    errors: Annotated[dict[ErrorCode, int], described("How many failed in which way.", {"http_status": 2})]
    success_ratio: Annotated[float | None, described("Of those that succeeded or failed; null: there were none.", 0.98)]
    duration: DurationsView
    failing_since: Annotated[
        Moment | None, described("When the first failure after the last success ended, whatever the window.", None)
    ]
    consecutive_failures: Annotated[int, described("How many failures there are since the last success.", 0)]


class StatisticsQuery(NoQuery, frozen=True, kw_only=True):
    window: Window | None = None


async def get(call: Call[Webhook, None, StatisticsQuery]) -> Reply:
    """Read how a webhook has fared.

    Counts by outcome and error, percentiles, and since when it fails."""
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
