"""`tenant-webhooks tenants …`: the isolated customers of a daemon; for the operator's token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from daemon.cli.identifiers import ID, path
from daemon.cli.options import client_command, given, list_options, list_query

if TYPE_CHECKING:
    from daemon.cli.client import Api
    from daemon.cli.output import Output

_COLUMNS = ("id", "name", "active", "created")


@click.group(short_help="Isolated customers.")
def tenants() -> None:
    """Tenants: isolated customers. Needs the operator's token.

    \b
    tenant-webhooks tenants create acme --name "Acme Ltd"
    tenant-webhooks tenants update acme --inactive
    """


@tenants.command("list")
@list_options
@client_command
def list_tenants(api: Api, output: Output, limit: int | None, cursor: str | None, whole: bool) -> None:
    """All tenants, newest first."""
    query = list_query(limit, cursor, whole)
    output.listing(api.pages(path("tenants"), query, whole=whole), _COLUMNS, whole=whole)


@tenants.command("get")
@click.argument("tenant", type=ID)
@client_command
def get_tenant(api: Api, output: Output, tenant: str) -> None:
    """One tenant."""
    output.record(api.get(path("tenants", tenant)))


@tenants.command("create")
@click.argument("tenant", type=ID)
@click.option("--name", help="What people call it.")
@client_command
def create_tenant(api: Api, output: Output, tenant: str, name: str | None) -> None:
    """A new tenant. Its id: small letters, digits, - and _, at most 63.

    \b
    tenant-webhooks tenants create acme --name "Acme Ltd"
    """
    output.record(api.send("POST", path("tenants"), document=given(id=tenant, name=name)))


@tenants.command("update")
@click.argument("tenant", type=ID)
@click.option("--name", help="What people call it; '' takes the name away.")
@click.option(
    "--active/--inactive",
    default=None,
    help="An inactive tenant's tokens are refused, and its pending deliveries wait on disk.",
)
@client_command
def update_tenant(api: Api, output: Output, tenant: str, name: str | None, active: bool | None) -> None:
    """Rename a tenant, or switch it off or on."""
    changes = given(name=name, active=active)
    if name == "":
        changes["name"] = None
    if not changes:
        raise click.UsageError("Nothing to change: give --name, --active or --inactive.")
    output.record(api.send("PATCH", path("tenants", tenant), document=changes))


@tenants.command("delete")
@click.argument("tenant", type=ID)
@click.confirmation_option(prompt="Remove this tenant with all its webhooks, events and deliveries?")
@client_command
def delete_tenant(api: Api, output: Output, tenant: str) -> None:
    """Remove an inactive tenant and everything of it, for good."""
    api.send("DELETE", path("tenants", tenant))
    output.note(f"Tenant {tenant} is being removed.")
