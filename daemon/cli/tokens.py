"""`tenant-webhooks tokens …`: a tenant's API credentials; for the operator's token."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import click

from daemon.cli.identifiers import ID, path
from daemon.cli.options import client_command, given, list_options, list_query
from daemon.model import Permission

if TYPE_CHECKING:
    from daemon.cli.client import Api
    from daemon.cli.output import Output

_COLUMNS = ("id", "name", "permissions", "created", "expires")


@click.group(short_help="A tenant's API credentials.")
def tokens() -> None:
    """Tokens: a tenant's API credentials. Needs the operator's token.

    \b
    tenant-webhooks tokens create acme --permission publish_events --name "Core platform"
    tenant-webhooks tokens delete acme tok_0123456789abcdef
    """


@tokens.command("list")
@click.argument("tenant", type=ID)
@list_options
@client_command
def list_tokens(api: Api, output: Output, tenant: str, limit: int | None, cursor: str | None, whole: bool) -> None:
    """All tokens of a tenant, newest first.

    Without their texts: the daemon knows only their hashes.
    """
    pages = api.pages(path("tenants", tenant, "tokens"), list_query(limit, cursor, whole), whole=whole)
    output.listing(pages, _COLUMNS, whole=whole)


@tokens.command("create")
@click.argument("tenant", type=ID)
@click.option(
    "--permission",
    "permissions",
    multiple=True,
    required=True,
    type=click.Choice(get_args(Permission)),
    help="Repeatable.",
)
@click.option("--name", help="What people call it.")
@click.option("--expires", metavar="TIME", help="RFC 3339 with a zone, such as 2026-12-31T00:00:00Z; left out: never.")
@client_command
def create_token(
    api: Api, output: Output, tenant: str, permissions: tuple[str, ...], name: str | None, expires: str | None
) -> None:
    """A new token. The answer alone shows it: keep it then.

    \b
    tenant-webhooks tokens create acme --permission manage_webhooks --permission publish_events
    """
    document = given(name=name, permissions=permissions, expires=expires)
    output.record(api.send("POST", path("tenants", tenant, "tokens"), document=document))
    output.note("Keep the token now: it is not shown again.")


@tokens.command("delete")
@click.argument("tenant", type=ID)
@click.argument("token_id", type=ID)
@client_command
def delete_token(api: Api, output: Output, tenant: str, token_id: str) -> None:
    """Revoke a token, effective at once."""
    api.send("DELETE", path("tenants", tenant, "tokens", token_id))
    output.note(f"Token {token_id} is revoked.")
