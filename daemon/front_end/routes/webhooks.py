"""Webhooks: URLs that want events of a tenant."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import UNSET

from daemon.delivery.signing import format_secret
from daemon.described import described
from daemon.egress.guard import refuse_literal
from daemon.egress.url import UrlError, check_url
from daemon.events import SESSION_COMPLETED
from daemon.front_end.decoding import NO_BODY, body_of
from daemon.front_end.headers import LOCATION
from daemon.front_end.problems import MOST_ERRORS, Culprit, Problem, invalid
from daemon.front_end.query import NoQuery, Tenanted, TenantedPage
from daemon.front_end.routing import Call, Finder, Reply, Route, found, listed, nothing, page_of, place, reply
from daemon.front_end.signing_keys import key_of
from daemon.front_end.views import DeliveryView, Listing, delivery_view
from daemon.front_end.webhook_bodies import NewWebhook, WebhookChanges
from daemon.front_end.webhook_options import culprits
from daemon.front_end.webhook_views import CreatedWebhook, WebhookView, created_webhook, webhook_view
from daemon.operations.logs import get_logger
from daemon.persistence import queries
from daemon.persistence.commands import CreateWebhook, DeleteWebhook, Ping, UpdateWebhook
from daemon.static_headers import restored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.front_end.routing import House
    from daemon.model import Webhook

log = get_logger()

_CLEARABLE = ("name", "headers", "timeout", "max_concurrent")

ActiveOnly = Annotated[Literal["true", "false"], described("Only those that are active, or only those that are not.")]


class WebhooksQuery(TenantedPage, frozen=True, kw_only=True):
    active: ActiveOnly | None = None


async def find_webhook(finder: Finder) -> Webhook:
    """Raises Problem `not-found`, in the same words for another tenant's."""
    return found(await finder.house.reads.read(finder.owner, queries.webhook, finder.path["id"], finder.owner))


async def create(call: Call[None, NewWebhook, Tenanted]) -> Reply:
    """Register a webhook.

    The answer shows its secret, which a receiver needs. It holds for every event that is published from now on."""
    tenant, body = call.required_tenant(), call.body
    _check(call.house, body, None)
    _check_address(call.house, body.url, tenant.id)
    key = key_of(body.secret)
    command = CreateWebhook(
        tenant=tenant.seq,
        url=body.url,
        name=body.name,
        events=(SESSION_COMPLETED,) if body.events is None else _merged(body.events),
        active=body.active is not False,
        secret=key,
        headers=restored(body.headers or {}, {}),
        timeout=body.timeout,
        max_concurrent=body.max_concurrent,
    )
    webhook = await call.house.execute(command)
    log.info("webhook.created", tenant=tenant.id, webhook=webhook.id, active=webhook.active)
    view = created_webhook(webhook, format_secret(key))
    return reply(view, 201, Location=f"/v1/webhooks/{webhook.id}")


async def listing(call: Call[None, None, WebhooksQuery]) -> Reply:
    """List webhooks.

    Deleted ones are included, as inactive. Without limit it is the whole list."""
    tenant, query = call.required_tenant(), call.query
    active = None if query.active is None else query.active == "true"
    limit = None if query.limit is None else query.limit + 1
    scope = f"webhooks {tenant.seq}"
    rows = await call.house.reads.read(call.owner, queries.webhooks, tenant.seq, active, limit, place(call, scope))
    page, following = page_of(call, scope, rows, lambda webhook: webhook.seq, query.limit)
    return listed(call, [webhook_view(webhook) for webhook in page], following)


async def get(call: Call[Webhook, None, NoQuery]) -> Reply:
    """Read a webhook."""
    return reply(webhook_view(call.object))


async def update(call: Call[Webhook, WebhookChanges, NoQuery]) -> Reply:
    """Change a webhook.

    Only what is sent is changed, for every event that is published from now on. "active": true revives a deleted
    one; "active": false cancels what has not been sent yet, for good."""
    webhook, body = call.object, call.body
    _check(call.house, body, webhook)
    tenant = found(call.house.store.registry.tenant(webhook.tenant))
    if body.url is not None:
        _check_address(call.house, body.url, tenant.id)
    changed = [name for name in ("url", "events", "active") if getattr(body, name) is not None]
    changed += [field for field in _CLEARABLE if getattr(body, field) is not UNSET]
    if changed:
        command = UpdateWebhook(
            tenant=call.owner,
            id=webhook.id,
            url=UNSET if body.url is None else body.url,
            name=body.name,
            events=UNSET if body.events is None else _merged(body.events),
            active=UNSET if body.active is None else body.active,
            headers=body.headers if body.headers is UNSET else body.headers or {},
            timeout=body.timeout,
            max_concurrent=body.max_concurrent,
        )
        webhook = await call.house.execute(command)
        log.info("webhook.updated", tenant=tenant.id, webhook=webhook.id, active=webhook.active, changed=changed)
    return reply(webhook_view(webhook))


async def delete(call: Call[Webhook, None, NoQuery]) -> Reply:
    """Delete a webhook.

    It becomes inactive, what has not been sent yet is cancelled, and its deliveries can still be read. Again: 204."""
    webhook = call.object
    await call.house.execute(DeleteWebhook(call.owner, webhook.id))
    if webhook.active:  # a second time it changes nothing
        tenant = call.house.store.registry.tenant(webhook.tenant)
        log.info("webhook.deleted", tenant=tenant and tenant.id, webhook=webhook.id)
    return Reply(204)


async def ping(call: Call[Webhook, None, NoQuery]) -> Reply:
    """Send a webhook.ping to a webhook.

    A delivery like any other: signed, logged, listed. The answer comes before the attempt: read the delivery again."""
    delivery = await call.house.execute(Ping(call.owner, call.object.id))
    return reply(delivery_view(delivery, whole=True), 202, Location=f"/v1/deliveries/{delivery.id}")


def _check(house: House, body: NewWebhook | WebhookChanges, before: Webhook | None) -> None:
    """The webhook's events `before` may stay although they are in no configuration any more: what GET shows may be sent
    back. Raises Problem `invalid` with every culprit."""
    url, events = body.url, body.events
    named, stored = (frozenset(before.events), before.headers) if before else (frozenset[str](), {})
    errors: list[Culprit] = []
    if url is not None:
        try:
            check_url(url, require_https=False)
        except UrlError as error:
            errors.append(Culprit(error.detail, pointer="/url"))
    if events is not None and not events:
        errors.append(Culprit("names no event; name at least one, or leave it out", pointer="/events"))
    types = house.event_types
    unknown = (index for index, name in enumerate(events or ()) if types.get(name) is None and name not in named)
    for index in islice(unknown, MOST_ERRORS):
        detail = f"is not an event to subscribe to; there is {types.known()}"
        errors.append(Culprit(detail, pointer=f"/events/{index}"))
    errors += culprits(body, stored, house.settings.delivery.max_concurrent_per_webhook)
    if errors:
        raise invalid(errors)


def _check_address(house: House, url: str, tenant: str) -> None:
    """The guard of CONTRACT §9, as far as the URL itself tells: names are resolved, and checked, at each attempt.

    Raises Problem `invalid` (https is required), `blocked-address`."""
    try:
        target = check_url(url, require_https=house.settings.egress.require_https)
    except UrlError as error:
        raise invalid([Culprit(error.detail, pointer="/url")]) from None
    detail = refuse_literal(target, house.policy, tenant)
    if detail is not None:
        raise Problem("blocked-address", detail, errors=[Culprit(detail, pointer="/url")])


def _merged(events: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(events))


ROUTES = (
    Route(
        name="createWebhook",
        method="POST",
        path="/v1/webhooks",
        access="manage_webhooks",
        find=nothing,
        body=body_of(NewWebhook),
        query=Tenanted,
        handler=create,
        status=201,
        responses=(CreatedWebhook,),
        gives=(LOCATION,),
        problems=("tenant-required", "blocked-address", "limit-reached"),
        prefixed=True,
    ),
    Route(
        name="listWebhooks",
        method="GET",
        path="/v1/webhooks",
        access="manage_webhooks",
        find=nothing,
        body=NO_BODY,
        query=WebhooksQuery,
        handler=listing,
        responses=(Listing[WebhookView],),
        problems=("tenant-required",),
        prefixed=True,
    ),
    Route(
        name="getWebhook",
        method="GET",
        path="/v1/webhooks/{id}",
        access="manage_webhooks",
        find=find_webhook,
        body=NO_BODY,
        query=NoQuery,
        handler=get,
        responses=(WebhookView,),
        prefixed=True,
    ),
    Route(
        name="updateWebhook",
        method="PATCH",
        path="/v1/webhooks/{id}",
        access="manage_webhooks",
        find=find_webhook,
        body=body_of(WebhookChanges),
        query=NoQuery,
        handler=update,
        responses=(WebhookView,),
        problems=("blocked-address", "limit-reached"),
        prefixed=True,
    ),
    Route(
        name="deleteWebhook",
        method="DELETE",
        path="/v1/webhooks/{id}",
        access="manage_webhooks",
        find=find_webhook,
        body=NO_BODY,
        query=NoQuery,
        handler=delete,
        status=204,
        prefixed=True,
    ),
    Route(
        name="pingWebhook",
        method="POST",
        path="/v1/webhooks/{id}/ping",
        access="manage_webhooks",
        find=find_webhook,
        body=NO_BODY,
        query=NoQuery,
        handler=ping,
        status=202,
        responses=(DeliveryView,),
        gives=(LOCATION,),
        problems=("webhook-inactive", "tenant-inactive", "backlog-full"),
        prefixed=True,
    ),
)
