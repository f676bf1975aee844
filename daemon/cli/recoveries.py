"""`tenant-webhooks recover` and `recoveries …`: redeliver what did not arrive, and watch it."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, get_args

import click
import msgspec
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from daemon.cli.failure import failure
from daemon.cli.identifiers import ID, path
from daemon.cli.options import client_command, given, list_options, list_query, present, tenant_option
from daemon.model import Recoverable

if TYPE_CHECKING:
    from daemon.cli.client import Api
    from daemon.cli.output import Output

_COLUMNS = ("id", "status", "webhook", "redelivered", "succeeded", "failed", "skipped", "examined", "total", "created")
_LOOK_SECONDS = 0.5


class _Seen(Struct, rename="camel"):
    """What the progress bar needs of a recovery."""

    status: str
    total: int | None
    examined: int
    redelivered: int
    waiting: int
    succeeded: int
    failed: int

    @property
    def over(self) -> bool:
        return self.status != "running" and not self.waiting

    @property
    def bar(self) -> tuple[int, int | None]:
        """How much is done, of how much: what was examined, less what is still on its way."""
        done = self.examined - self.waiting
        return done, None if self.total is None else max(self.total, self.examined)


class _Started(Struct):
    id: str


@click.command(short_help="Redeliver what did not arrive.")
@click.argument("webhook", type=ID, required=False)
@click.option("--since", metavar="TIME", required=True, help="Created then or later; RFC 3339 with a zone.")
@click.option("--until", metavar="TIME", help="Created before.  [default: now]")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(get_args(Recoverable)),
    help="Only what ended so; repeatable.  [default: both]",
)
@tenant_option
@click.option("--dry-run", is_flag=True, help="Only count what would be redelivered.")
@click.option("--wait", is_flag=True, help="Show how it goes until it is over; 1 if not all has arrived.")
@client_command
def recover(
    api: Api,
    output: Output,
    webhook: str | None,
    since: str,
    until: str | None,
    statuses: tuple[str, ...],
    tenant: str | None,
    dry_run: bool,
    wait: bool,
) -> None:
    """Redeliver what did not reach WEBHOOK; left out: any webhook.

    Each event goes once, a few at a time; one that has arrived since is skipped. The daemon goes on by itself, also
    after a restart: `recoveries show` says how far it is, `recoveries cancel` stops it.

    With the operator's token and neither WEBHOOK nor --tenant it is for all tenants' webhooks: try --dry-run first.

    \b
    tenant-webhooks recover w1X2y3Z4 --since 2026-01-31T08:00:00Z --dry-run
    tenant-webhooks recover w1X2y3Z4 --since 2026-01-31T08:00:00Z --wait
    """
    if webhook is not None and tenant is not None:
        raise click.UsageError("WEBHOOK says whose already: leave --tenant out.")
    if dry_run and wait:
        raise click.UsageError("A dry run is over at once: leave --wait out.")
    where = path("recover") if webhook is None else path("webhooks", webhook, "recover")
    document = given(since=since, until=until, statuses=statuses, dryRun=True if dry_run else None)
    body = api.send("POST", where, params=present(tenant=tenant), document=document)
    if not wait:
        output.record(body)
        return
    body = _watch(api, msgspec.json.decode(body, type=_Started).id, body, shown=not output.as_json)
    output.record(body)
    seen = msgspec.json.decode(body, type=_Seen)
    if seen.succeeded < seen.redelivered or seen.status != "completed":
        raise failure(
            "not all has arrived",
            f"Of {seen.redelivered} redeliveries {seen.succeeded} succeeded; the recovery is {seen.status}. "
            "deliveries list --status failed says why.",
        )


@click.group(short_help="Redeliveries of what did not arrive.")
def recoveries() -> None:
    """Recoveries: jobs that redeliver what did not arrive, as `recover` starts them.

    \b
    tenant-webhooks recoveries list
    tenant-webhooks recoveries cancel rec_…
    """


@recoveries.command("list")
@tenant_option
@list_options
@client_command
def list_recoveries(
    api: Api, output: Output, tenant: str | None, limit: int | None, cursor: str | None, whole: bool
) -> None:
    """Recoveries, newest first."""
    query = list_query(limit, cursor, whole, tenant=tenant)
    output.listing(api.pages(path("recoveries"), query, whole=whole), _COLUMNS, whole=whole)


@recoveries.command("show")
@click.argument("recovery", type=ID)
@click.option("--wait", is_flag=True, help="Show how it goes until it is over.")
@client_command
def show_recovery(api: Api, output: Output, recovery: str, wait: bool) -> None:
    """One recovery: how far it is."""
    body = api.get(path("recoveries", recovery))
    output.record(_watch(api, recovery, body, shown=not output.as_json) if wait else body)


@recoveries.command("cancel")
@click.argument("recovery", type=ID)
@client_command
def cancel_recovery(api: Api, output: Output, recovery: str) -> None:
    """Redeliver no more; what is being sent ends."""
    output.record(api.send("DELETE", path("recoveries", recovery)))


def _watch(api: Api, id: str, body: bytes, *, shown: bool) -> bytes:
    """Look again until it is over; what was seen last. Leaving off here changes nothing for the daemon."""
    console = Console(file=sys.stderr)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[ended]}"),
        console=console,
        disable=not (shown and console.is_terminal),
    )
    with bar:
        task = bar.add_task("Recovering", total=None, ended="")
        while True:
            seen = msgspec.json.decode(body, type=_Seen)
            done, total = seen.bar
            bar.update(task, completed=done, total=total, ended=f"{seen.succeeded} succeeded, {seen.failed} failed")
            if seen.over:
                return body
            time.sleep(_LOOK_SECONDS)
            body = api.get(path("recoveries", id))
