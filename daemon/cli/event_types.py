"""`tenant-webhooks event-types …`: what can be published and subscribed to, and what receivers get."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from daemon.cli.identifiers import ID, path
from daemon.cli.options import client_command

if TYPE_CHECKING:
    from daemon.cli.client import Api
    from daemon.cli.output import Output

_COLUMNS = ("name", "description", "subscribable", "subject")
_DOCUMENTS = ("schema", "publishedExample", "deliveredExample")


@click.group("event-types", short_help="What can be published and subscribed to.")
def event_types() -> None:
    """Event types: the built-in ones, and those that the daemon's configuration adds.

    \b
    tenant-webhooks event-types list
    tenant-webhooks event-types show payment.completed
    """


@event_types.command("list")
@client_command
def list_event_types(api: Api, output: Output) -> None:
    """All of them, by name."""
    output.listing(iter([api.get(path("event-types"))]), _COLUMNS, whole=False)


@event_types.command("show")
@click.argument("name", type=ID)
@client_command
def show_event_type(api: Api, output: Output, name: str) -> None:
    """One of them: its JSON Schema, an example as published and as delivered."""
    output.record(api.get(path("event-types", name)), documents=_DOCUMENTS)
