"""`tenant-webhooks webhooks …`: registered URLs and the events they want."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.cli.identifiers import ID, path
from daemon.cli.options import (
    client_command,
    given,
    list_options,
    list_query,
    present,
    read_secret_file,
    tenant_option,
)
from daemon.cli.webhook_options import chosen, options_of_its_own

if TYPE_CHECKING:
    from daemon.cli.client import Api
    from daemon.cli.output import Output

_own_secret = click.option(
    "--secret-file",
    type=click.Path(path_type=Path),
    help="A file with a secret of your own on its first line: whsec_ and base64 of 24 to 64 bytes; - for stdin.",
)
_COLUMNS = ("id", "active", "url", "name", "lastDelivery.status", "deliveryAttempts", "lastDelivered", "events")


@click.group(short_help="Registered URLs and what they want.")
def webhooks() -> None:
    """Webhooks: registered URLs and the events they want.

    \b
    tenant-webhooks webhooks create https://yourapp.com/webhooks --name Production
    tenant-webhooks webhooks ping w1X2y3Z4
    tenant-webhooks deliveries list --webhook w1X2y3Z4
    """


@webhooks.command("list")
@tenant_option
@click.option("--active/--inactive", default=None, help="Only these.")
@list_options
@client_command
def list_webhooks(
    api: Api,
    output: Output,
    tenant: str | None,
    active: bool | None,
    limit: int | None,
    cursor: str | None,
    whole: bool,
) -> None:
    """All webhooks, deleted ones too, newest first."""
    wanted = None if active is None else str(active).lower()
    query = list_query(limit, cursor, whole, tenant=tenant, active=wanted)
    output.listing(api.pages(path("webhooks"), query, whole=whole), _COLUMNS, whole=whole)


@webhooks.command("get")
@click.argument("webhook", type=ID)
@client_command
def get_webhook(api: Api, output: Output, webhook: str) -> None:
    """One webhook."""
    output.record(api.get(path("webhooks", webhook)))


@webhooks.command("create")
@click.argument("endpoint")
@click.option("--name", help="What people call it.")
@click.option(
    "--event", "events", multiple=True, help="An event it wants; repeatable.  [default: onboard.session.completed]"
)
@click.option("--inactive", is_flag=True, help="Register it without sending to it yet.")
@_own_secret
@options_of_its_own
@tenant_option
@client_command
def create_webhook(
    api: Api,
    output: Output,
    endpoint: str,
    name: str | None,
    events: tuple[str, ...],
    inactive: bool,
    secret_file: Path | None,
    tenant: str | None,
    **own: object,
) -> None:
    """Register ENDPOINT, the URL to send to. The answer shows its signing secret, and so does `webhooks secret`.

    \b
    tenant-webhooks webhooks create https://yourapp.com/webhooks --name Production
    """
    secret = _read_own(secret_file)
    document = given(url=endpoint, name=name, events=events, active=False if inactive else None, secret=secret)
    document |= chosen(**own)
    output.record(api.send("POST", path("webhooks"), params=present(tenant=tenant), document=document))
    output.note("Give the secret to the receiver, which verifies with it, and to nobody else.")


@webhooks.command("update")
@click.argument("webhook", type=ID)
@click.option("--endpoint", help="The URL to send to from now on.")
@click.option("--name", help="What people call it; '' takes the name away.")
@click.option("--event", "events", multiple=True, help="The events it wants from now on; repeatable.")
@click.option(
    "--active/--inactive", default=None, help="Whether events are sent to it; --active revives a deleted one."
)
@options_of_its_own
@client_command
def update_webhook(
    api: Api,
    output: Output,
    webhook: str,
    endpoint: str | None,
    name: str | None,
    events: tuple[str, ...],
    active: bool | None,
    **own: object,
) -> None:
    """Change a webhook; the next published event is sent accordingly.

    \b
    tenant-webhooks webhooks update w1X2y3Z4 --endpoint https://yourapp.com/v2/webhooks
    """
    changes = given(url=endpoint, name=name, events=events, active=active) | chosen(**own)
    if name == "":
        changes["name"] = None
    if not changes:
        raise click.UsageError(
            "Nothing to change: give --endpoint, --name, --event, --active or --inactive, --header-file, --timeout or "
            "--max-concurrent."
        )
    output.record(api.send("PATCH", path("webhooks", webhook), document=changes))


@webhooks.command("delete")
@click.argument("webhook", type=ID)
@client_command
def delete_webhook(api: Api, output: Output, webhook: str) -> None:
    """Stop sending to a webhook; what waits for it is cancelled. `update --active` revives it."""
    api.send("DELETE", path("webhooks", webhook))
    output.note(f"Webhook {webhook} is inactive.")


@webhooks.command("stats")
@click.argument("webhook", type=ID)
@click.option("--window", metavar="SPAN", help="How far back, such as 90m, 24h or 7d.  [default: 24h]")
@client_command
def webhook_statistics(api: Api, output: Output, webhook: str, window: str | None) -> None:
    """How a webhook has fared lately: outcomes, errors, durations in ms, since when it fails.

    \b
    tenant-webhooks webhooks stats w1X2y3Z4 --window 7d
    """
    output.record(api.get(path("webhooks", webhook, "stats"), present(window=window)))


@webhooks.command("ping")
@click.argument("webhook", type=ID)
@client_command
def ping_webhook(api: Api, output: Output, webhook: str) -> None:
    """Send webhook.ping to one webhook, now; shows the delivery, `deliveries get` how it went."""
    output.record(api.send("POST", path("webhooks", webhook, "ping")))
    output.note("It is on its way: `deliveries get` with its id shows how it went.")


@webhooks.command("secret")
@click.argument("webhook", type=ID)
@client_command
def show_secret(api: Api, output: Output, webhook: str) -> None:
    """The secret that a webhook's deliveries are signed with, and until when older ones sign too.

    \b
    tenant-webhooks webhooks secret w1X2y3Z4 --json
    """
    output.record(api.get(path("webhooks", webhook, "secret")))


@webhooks.command("rotate-secret")
@click.argument("webhook", type=ID)
@click.option(
    "--overlap-hours",
    type=click.IntRange(0, 168),
    help="How long the old secret signs too; 0: it has leaked, it and all before it end now.  [default: 24]",
)
@_own_secret
@client_command
def rotate_secret(api: Api, output: Output, webhook: str, overlap_hours: int | None, secret_file: Path | None) -> None:
    """Put a new secret in force; the old one signs too until the overlap ends.

    \b
    tenant-webhooks webhooks rotate-secret w1X2y3Z4 --overlap-hours 48
    """
    document = given(overlapHours=overlap_hours, secret=_read_own(secret_file))
    output.record(api.send("POST", path("webhooks", webhook, "secret", "rotate"), document=document))


def _read_own(file: Path | None) -> str | None:
    """Raises `click.UsageError`."""
    if file is None:
        return None
    secret = read_secret_file(file, "--secret-file")
    if not secret:
        raise click.UsageError(f"--secret-file: the first line of {file} is empty.")
    return secret
