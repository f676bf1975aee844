"""`tenant-webhooks verify`: why a receiver refuses a delivery, said part by part."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from rich.table import Table
from rich.text import Text

from daemon.cli.diagnosis import diagnose
from daemon.cli.output import console_for_results
from daemon.cli.pasted import headers, received, split_request
from daemon.instants import parse_instant
from daemon.printable import printable

if TYPE_CHECKING:
    from daemon.cli.diagnosis import Diagnosis, Verdict

_MOST_BYTES = 16 * 1024 * 1024
_MOST_SECRETS = 5
_STYLES: dict[Verdict, str] = {
    "right": "bold green",
    "old": "bold yellow",
    "wrong": "bold red",
    "suspect": "bold yellow",
    "unknown": "dim",
}
_FILE = click.Path(path_type=Path, allow_dash=True)


@click.command(short_help="Say why a delivery does not verify.")
@click.option("--headers", "headers_file", type=_FILE, help="Its header lines, or the whole request.  [default: stdin]")
@click.option("--body", "body_file", type=_FILE, help="Its body, byte for byte.  [default: what follows the headers]")
@click.option("--id", help="The header webhook-id, instead of the file's.")
@click.option("--timestamp", help="The header webhook-timestamp, likewise.")
@click.option("--signature", help="The header webhook-signature, likewise.")
@click.option(
    "--secret-file", type=_FILE, help="The secret; several, a line each, when it was rotated: the newest first."
)
@click.option("--received", "received_at", metavar="TIME", help="When it came: RFC 3339, or Unix seconds.  [now]")
@click.option(
    "--tolerance", type=click.IntRange(0), default=300, show_default=True, help="Seconds that clocks may differ by."
)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as one JSON document.")
def verify(
    headers_file: Path | None,
    body_file: Path | None,
    id: str | None,
    timestamp: str | None,
    signature: str | None,
    secret_file: Path | None,
    received_at: str | None,
    tolerance: int,
    as_json: bool,
) -> None:
    """Verify a delivery as a receiver does, and say which part is wrong: id, timestamp, signature, secret or body.

    The secret may also be in TENANT_WEBHOOKS_SECRET; without one it is asked for, and not shown. Nothing is sent
    anywhere. Exit code 1: it does not verify.

    \b
    tenant-webhooks verify --headers headers.txt --body body.json --secret-file secret.txt
    tenant-webhooks verify --secret-file secret.txt < request.txt
    """
    at = time.time() if received_at is None else _moment(received_at)
    given = {"webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature}
    options = {name: value for name, value in given.items() if value is not None}
    if headers_file is None and (body_file is None or len(options) < len(given)):
        headers_file = Path("-")
    if [str(file) for file in (headers_file, body_file, secret_file)].count("-") > 1:
        raise click.UsageError("Only one of headers, body and secret can come from stdin: give files for the others.")
    body = None if body_file is None else _read(body_file, "--body")
    fields: dict[str, str] = {}
    if headers_file is not None:
        lines, rest = split_request(_read(headers_file, "--headers"))
        fields = headers(lines.decode("utf-8", "replace"))
        if not fields and not options:
            raise click.UsageError("--headers: no header lines there. Paste them as they came, one a line.")
        body = rest if body is None else body
    if body is None:
        raise click.UsageError("No body: give --body, or let it follow the headers after a blank line.")
    secrets = _secrets(secret_file)
    diagnosis = diagnose(received({**fields, **options}, body), secrets, at, tolerance)
    if as_json:
        click.echo(msgspec.json.encode(diagnosis))
    else:
        _show(diagnosis)
    click.get_current_context().exit(0 if diagnosis.verified else 1)


def _read(path: Path, option: str) -> bytes:
    if str(path) == "-" and sys.stdin.isatty():
        click.echo(f"Paste what {option} would hold, then a new line and Ctrl-D.", err=True)
    try:
        with click.open_file(str(path), "rb") as file:
            content: bytes = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise click.UsageError(f"{option}: cannot read {path}: {error.strerror}.") from None
    if len(content) > _MOST_BYTES:
        raise click.UsageError(f"{option}: {path} has more than {_MOST_BYTES} bytes; no delivery is that large.")
    return content


def _secrets(file: Path | None) -> list[str]:
    """Raises `click.UsageError`, which repeats none."""
    if file is not None:
        text = _read(file, "--secret-file").decode("utf-8", "replace")
    elif (text := os.environ.get("TENANT_WEBHOOKS_SECRET", "")) == "":
        if not sys.stderr.isatty():
            raise click.UsageError("No secret: give --secret-file, or set TENANT_WEBHOOKS_SECRET.")
        text = click.prompt("Secret", hide_input=True, err=True)
    found = [line for line in re.split(r"[\r\n]+", text) if line.strip()]
    if not found:
        raise click.UsageError("No secret: it is empty.")
    if len(found) > _MOST_SECRETS:
        raise click.UsageError(f"More than {_MOST_SECRETS} secrets: one a line, and nothing else.")
    return found


def _moment(text: str) -> float:
    try:
        return float(text) if re.fullmatch(r"[0-9]{1,12}(\.[0-9]+)?", text) else parse_instant(text) / 1000
    except ValueError as error:
        raise click.UsageError(f"--received: {error}.") from None


def _show(diagnosis: Diagnosis) -> None:
    console = console_for_results()
    head = Text("verified", style="bold green") if diagnosis.verified else Text("NOT VERIFIED", style="bold red")
    console.print(head)
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in diagnosis.findings:
        verdict = Text(finding.verdict, style=_STYLES[finding.verdict])
        table.add_row(finding.part, verdict, Text(printable(finding.detail)))
    console.print(table)
