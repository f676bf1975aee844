"""CONTRACT §6: is it alive, is it ready, how is it doing."""

from __future__ import annotations

from msgspec import Struct

from daemon.front_end.decoding import NO_BODY
from daemon.front_end.problems import Problem
from daemon.front_end.query import NoQuery
from daemon.front_end.routing import Call, Reply, Route, nothing, reply
from daemon.operations.metrics import CONTENT_TYPE


class State(Struct, frozen=True):
    status: str


async def alive(call: Call[None, None, NoQuery]) -> Reply:
    return reply(State("alive"))


async def ready(call: Call[None, None, NoQuery]) -> Reply:
    reasons = call.house.ready.reasons()
    if not reasons:
        return reply(State("ready"))
    slug = "draining" if call.house.ready.draining else "storage-unavailable"
    detail = "Not ready: " + "; ".join(f"{part}: {why}" for part, why in reasons.items())
    raise Problem(slug, detail, parts=reasons)


async def metrics(call: Call[None, None, NoQuery]) -> Reply:
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
        room="observation",
    ),
)
