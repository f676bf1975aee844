"""Is the daemon alive, is it ready, and its metrics."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from daemon.described import described
from daemon.front_end.decoding import NO_BODY
from daemon.front_end.problems import Problem
from daemon.front_end.query import NoQuery
from daemon.front_end.routing import Call, Reply, Route, nothing, reply
from daemon.operations.metrics import CONTENT_TYPE


class State(Struct, frozen=True):
    """All is well."""

    status: Annotated[str, described("alive or ready.", "ready")]


async def alive(call: Call[None, None, NoQuery]) -> Reply:
    """Ask whether the daemon is alive."""
    return reply(State("alive"))


async def ready(call: Call[None, None, NoQuery]) -> Reply:
    """Ask whether the daemon can accept events.

    503 says which part cannot, and why."""
    reasons = call.house.ready.reasons()
    if not reasons:
        return reply(State("ready"))
    slug = "draining" if call.house.ready.draining else "storage-unavailable"
    detail = "Not ready: " + "; ".join(f"{part}: {why}" for part, why in reasons.items())
    raise Problem(slug, detail, parts=reasons)


async def metrics(call: Call[None, None, NoQuery]) -> Reply:
    """Read the metrics, in Prometheus' text format.

    On server.observe_bind no token is needed."""
    return Reply(200, await call.house.metrics.scrape(), content_type=CONTENT_TYPE)


ROUTES = (
    Route(
        name="getLiveness",
        method="GET",
        path="/healthz",
        access="open",
        find=nothing,
        body=NO_BODY,
        query=NoQuery,
        handler=alive,
        responses=(State,),
        room="observation",
    ),
    Route(
        name="getReadiness",
        method="GET",
        path="/readyz",
        access="open",
        find=nothing,
        body=NO_BODY,
        query=NoQuery,
        handler=ready,
        responses=(State,),
        problems=("draining", "storage-unavailable"),
        room="observation",
    ),
    Route(
        name="getMetrics",
        method="GET",
        path="/metrics",
        access="operator",
        find=nothing,
        body=NO_BODY,
        query=NoQuery,
        handler=metrics,
        media="text/plain",
        room="observation",
    ),
)
