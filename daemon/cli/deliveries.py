"""`tenant-webhooks deliveries …`: every attempt, and how it went."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import click

from daemon.cli.identifiers import ID, path
from daemon.cli.options import client_command, list_options, list_query, tenant_option, time_options
from daemon.model import ErrorCode, Status

if TYPE_CHECKING:
    from daemon.cli.client import Api
    from daemon.cli.output import Output

COLUMNS = ("id", "status", "statusCode", "error", "webhook", "created", "eventType", "timings.total")


@click.group(short_help="Every attempt, and how it went.")
def deliveries() -> None:
    """Deliveries: single attempts to bring an event to a webhook, and how they went.

    \b
    tenant-webhooks deliveries list --status failed --since 2026-01-31T08:00:00Z
    tenant-webhooks deliveries redeliver dlv_…
    """


@deliveries.command("list")
@click.option("--webhook", type=ID, help="Only this webhook's.")
@tenant_option
@click.option("--status", type=click.Choice(get_args(Status)), help="Only in this state.")
@click.option("--error", type=click.Choice(get_args(ErrorCode)), metavar="CODE", help="Only failed in this way.")
@click.option("--event-type", metavar="NAME", help="Only of this event.")
@time_options
@list_options
@client_command
def list_deliveries(
    api: Api,
    output: Output,
    webhook: str | None,
    tenant: str | None,
    status: str | None,
    error: str | None,
    event_type: str | None,
    since: str | None,
    until: str | None,
    limit: int | None,
    cursor: str | None,
    whole: bool,
) -> None:
    """Deliveries, newest first: of one webhook, or of all.

    \b
    tenant-webhooks deliveries list --webhook w1X2y3Z4 --error http_status --all --json
    """
    if webhook is not None and tenant is not None:
        raise click.UsageError("--webhook says whose already: leave --tenant out.")
    where = path("deliveries") if webhook is None else path("webhooks", webhook, "deliveries")
    query = list_query(
        limit,
        cursor,
        whole,
        tenant=tenant,
        status=status,
        error=error,
        eventType=event_type,
        since=since,
        until=until,
    )
    output.listing(api.pages(where, query, whole=whole), COLUMNS, whole=whole)


@deliveries.command("get")
@click.argument("delivery", type=ID)
@client_command
def get_delivery(api: Api, output: Output, delivery: str) -> None:
    """One delivery with what the receiver answered."""
    output.record(api.get(path("deliveries", delivery)))


@deliveries.command("redeliver")
@click.argument("delivery", type=ID)
@client_command
def redeliver(api: Api, output: Output, delivery: str) -> None:
    """Send the event of a finished delivery once more; the receiver sees the same webhook-id."""
    output.record(api.send("POST", path("deliveries", delivery, "redeliver")))
