"""`tenant-webhooks events …`: publish what happened, look at what was published."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, BinaryIO, get_args

import click
import msgspec

from daemon.cli.deliveries import COLUMNS
from daemon.cli.identifiers import ID, path
from daemon.cli.options import client_command, list_options, list_query, present, tenant_option, time_options
from daemon.cli.output import Document, objects, show_rows
from daemon.model import ErrorCode, Status

if TYPE_CHECKING:
    from daemon.cli.client import Api
    from daemon.cli.output import Output

_COLUMNS = ("id", "event", "created", "deliveries", "idempotencyKey")
_RESULT_COLUMNS = ("id", "event", "created", "deliveries", "duplicate")


@click.group(short_help="What happened: publish it, look at it.")
def events() -> None:
    """Events: what happened, published once, sent to every webhook that wants it.

    \b
    tenant-webhooks events publish session.json
    tenant-webhooks events list --error http_status --since 2026-01-31T08:00:00Z
    tenant-webhooks events get evt_…
    """


@events.command("publish")
@click.argument("file", type=click.File("rb"), default="-")
@tenant_option
@click.option("--idempotency-key", metavar="KEY", help="Publishing the same key again does nothing: for one event.")
@client_command
def publish(api: Api, output: Output, file: BinaryIO, tenant: str | None, idempotency_key: str | None) -> None:
    """Publish the event, or {"events": […]}, in FILE (JSON; left out: stdin).

    \b
    tenant-webhooks events publish session.json --idempotency-key session-42
    echo '{"event": "onboard.session.completed", "session": {"id": "42", "status": "Complete"}}' |
      tenant-webhooks events publish
    """
    if file.isatty() and file.fileno() == sys.stdin.fileno():
        output.note("Reading the event from the terminal; end it with Ctrl-D.")
    headers = {} if idempotency_key is None else {"idempotency-key": _checked(idempotency_key)}
    body = api.send("POST", path("events"), params=present(tenant=tenant), content=file.read(), headers=headers)
    batch = [] if output.as_json else objects(msgspec.json.decode(body, type=Document).get("data"))
    if batch:
        show_rows(batch, _RESULT_COLUMNS)
    else:
        output.record(body)


@events.command("list")
@tenant_option
@click.option("--type", "event_type", metavar="NAME", help="Only of this type.")
@click.option("--status", type=click.Choice(get_args(Status)), help="Only with a delivery in this state.")
@click.option("--error", type=click.Choice(get_args(ErrorCode)), metavar="CODE", help="Only with one that failed so.")
@click.option("--idempotency-key", metavar="KEY", help="Only the one published with this key.")
@time_options
@list_options
@client_command
def list_events(
    api: Api,
    output: Output,
    tenant: str | None,
    event_type: str | None,
    status: str | None,
    error: str | None,
    idempotency_key: str | None,
    since: str | None,
    until: str | None,
    limit: int | None,
    cursor: str | None,
    whole: bool,
) -> None:
    """Events, newest first.

    \b
    tenant-webhooks events list --type onboard.session.completed --status failed --all --json
    """
    query = list_query(
        limit,
        cursor,
        whole,
        tenant=tenant,
        type=event_type,
        status=status,
        error=error,
        idempotencyKey=idempotency_key,
        since=since,
        until=until,
    )
    output.listing(api.pages(path("events"), query, whole=whole), _COLUMNS, whole=whole)


@events.command("get")
@click.argument("event", type=ID)
@client_command
def get_event(api: Api, output: Output, event: str) -> None:
    """One event: its payload as sent, and its deliveries."""
    output.record(api.get(path("events", event)), {"deliveries": COLUMNS}, ("payload",))


def _checked(key: str) -> str:
    if not all("!" <= character <= "~" for character in key):
        raise click.UsageError("--idempotency-key takes visible ASCII characters, without spaces.")
    return key
