"""`tenant-webhooks status`: how the daemon is doing, on one screen."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click
import msgspec
from rich import filesize
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from daemon.cli.failure import Failure
from daemon.cli.identifiers import path
from daemon.cli.options import client_command
from daemon.cli.output import console_for_results
from daemon.front_end.status_views import StatusView
from daemon.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from daemon.cli.client import Api
    from daemon.cli.output import Output
    from daemon.front_end.status_views import LastHour, Retention

_REDRAW_SECONDS = 2.0
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
# Waiting does not cure these; anything else may be a daemon that is being restarted.
_FINAL = frozenset({401, 403, 404})


@click.command(short_help="How the daemon is doing.")
@click.option("--watch", is_flag=True, help=f"Redraw it every {_REDRAW_SECONDS:g} s, until Ctrl-C.")
@client_command
def status(api: Api, output: Output, watch: bool) -> None:
    """How the daemon is doing, on one screen. Needs the operator's token.

    What waits and what runs, how the last hour's deliveries ended, which webhooks fail the most, and how much room is
    left. The last hour is remembered from when the daemon was started.

    \b
    tenant-webhooks status --token-file operator.token --watch
    """
    if not watch:
        body = api.get(path("status"))
        if output.as_json:
            output.record(body)
        else:
            console_for_results().print(screen(msgspec.json.decode(body, type=StatusView)))
        return
    if output.as_json:
        raise click.UsageError("--watch is for people, --json for programs: give one of them.")
    if not sys.stdout.isatty():
        raise click.UsageError("--watch redraws a terminal, and the output is none. Leave it out.")
    _watch(api)


def _watch(api: Api) -> None:
    """A daemon that cannot be reached is waited for: whoever watches may be restarting it. Raises `Failure` for what
    waiting does not cure."""
    with Live(console=console_for_results(), screen=True, auto_refresh=False) as live:
        try:
            while True:
                live.update(_look(api), refresh=True)
                time.sleep(_REDRAW_SECONDS)
        except KeyboardInterrupt:
            return


def _look(api: Api) -> RenderableType:
    try:
        return screen(msgspec.json.decode(api.get(path("status")), type=StatusView))
    except Failure as failure:
        if failure.problem.status in _FINAL:
            raise
        return Text(f"{time.strftime('%H:%M:%S')}  {printable(failure.format_message())}", style="red")


def screen(answer: StatusView) -> RenderableType:
    """All of it; in colour where there is any."""
    parts: list[RenderableType] = [
        Text.assemble(
            (f"Tenant Webhooks {printable(answer.version)}", "bold"),
            "  ",
            ("not ready", "bold red") if answer.unready else ("ready", "bold green"),
            f"  up {lasting(answer.uptime)}, since {printable(answer.started)}",
        )
    ]
    parts += [Text(f"  {printable(part)}: {printable(why)}", style="red") for part, why in answer.unready.items()]
    parts += [Text(), _fields(_now(answer)), Text(), _heading(answer.last_hour), _fields(_ended(answer.last_hour))]
    if answer.last_hour.worst_webhooks:
        parts += [Text(), Text("Webhooks with the most failed attempts", style="bold"), _worst(answer.last_hour)]
    return Group(*parts)


def _now(answer: StatusView) -> Iterator[tuple[str, str]]:
    waiting, disk = answer.waiting, answer.disk
    oldest = "" if waiting.oldest_age is None else f", the oldest for {lasting(waiting.oldest_age)}"
    yield "waiting", f"{waiting.deliveries:,}{oldest}"
    yield "in flight", f"{answer.in_flight:,}"
    yield "database", f"{size(answer.database.size)}, and {size(answer.database.wal)} of write-ahead log"
    free = "unknown" if disk.free is None else f"{size(disk.free)} free"
    yield "disk", f"{free}; below {size(disk.least)} nothing is accepted"
    yield "retention", _kept(answer.retention)
    if answer.retention.paused is not None:
        yield "  paused", printable(answer.retention.paused)


def _kept(retention: Retention) -> str:
    days = [] if retention.days is None else [f"{retention.days:g} days"]
    room = [] if retention.max_bytes is None else [f"at most {size(retention.max_bytes)}"]
    kept = ", and ".join(days + room) or "nothing is deleted"
    return kept if retention.oldest is None else f"{kept}; the oldest event is of {printable(retention.oldest)}"


def _heading(hour: LastHour) -> Text:
    if hour.whole:
        return Text("The last hour", style="bold")
    return Text.assemble(("Since the start", "bold"), f"  {printable(hour.since)}, less than an hour ago")


def _ended(hour: LastHour) -> Iterator[tuple[str, str]]:
    yield "succeeded", f"{hour.succeeded:,}"
    yield "failed", f"{hour.failed:,}"
    for error, number in sorted(hour.errors.items(), key=lambda item: -item[1]):
        yield f"  {error}", f"{number:,}"
    yield "interrupted", f"{hour.interrupted:,}"
    yield "cancelled", f"{hour.cancelled:,}"


def _worst(hour: LastHour) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("ID", "TENANT", "FAILED", "LAST ERROR"):
        table.add_column(column, no_wrap=True)
    for webhook in hour.worst_webhooks:
        failed = (
            f"{webhook.failed:,}"
            if not webhook.margin
            else f"{webhook.failed:,} to {webhook.failed + webhook.margin:,}"
        )
        table.add_row(*(Text(printable(text)) for text in (webhook.id, webhook.tenant, failed, webhook.last_error)))
    return table


def _fields(lines: Iterator[tuple[str, str]]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for name, text in lines:
        table.add_row(Text(printable(name)), Text(text))
    return table


def lasting(seconds: float) -> str:
    """A duration in its two largest units: 3 d 4 h."""
    rest = int(seconds)
    parts: list[str] = []
    for length, unit in _UNITS:
        number, rest = divmod(rest, length)
        if number or parts:
            parts.append(f"{number} {unit}")
        if len(parts) == 2:
            break
    return " ".join(parts) or "0 s"


def size(number: int) -> str:
    return filesize.decimal(number)
