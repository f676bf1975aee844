"""The table of all routes: the one place that says what the API is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.front_end.routes import (
    deliveries,
    event_list,
    event_types,
    events,
    observation,
    pages,
    recoveries,
    signing_secrets,
    statistics,
    status,
    tenants,
    tokens,
    webhooks,
)

if TYPE_CHECKING:
    from daemon.front_end.routing import AnyRoute

ROUTES: tuple[AnyRoute, ...] = (
    *webhooks.ROUTES,
    *statistics.ROUTES,
    *signing_secrets.ROUTES,
    *deliveries.ROUTES,
    *events.ROUTES,
    *event_list.ROUTES,
    *event_types.ROUTES,
    *recoveries.ROUTES,
    *tenants.ROUTES,
    *tokens.ROUTES,
    *status.ROUTES,
    *observation.ROUTES,
    *pages.ROUTES,
)
