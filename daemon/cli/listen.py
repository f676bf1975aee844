"""`tenant-webhooks listen`: a local receiver that shows every delivery and verifies it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
import trio
from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.text import Text

from daemon.cli.endings import run
from daemon.cli.inbox import Inbox
from daemon.cli.options import read_secret_file
from daemon.cli.receiver import receive
from daemon.printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.cli.inbox import Receipt
    from daemon.cli.receiver import Request

_SHOWN_CHARACTERS = 20_000


@click.command(short_help="Receive deliveries here, and verify them.")
@click.option("--port", type=click.IntRange(0, 65535), default=9000, show_default=True, help="0: any free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--secret", metavar="whsec_…", help="The webhook's secret; others on this machine can see it: rather the next."
)
@click.option(
    "--secret-file", type=click.Path(path_type=Path), help="A file with the secret on its first line; - for stdin."
)
def listen(port: int, host: str, secret: str | None, secret_file: Path | None) -> None:
    """Receive deliveries here: print and verify each, drop duplicates, answer 200 (401 to what is not genuine).

    The secret may also be in TENANT_WEBHOOKS_SECRET. Without one nothing can be verified. Ends with Ctrl-C.

    \b
    tenant-webhooks listen --port 9000 --secret-file secret.txt
    tenant-webhooks webhooks create http://127.0.0.1:9000/

    The daemon sends to this machine only if its configuration has [egress] allow = ["127.0.0.0/8"].
    """
    try:
        inbox = Inbox(find_secret(secret, secret_file, os.environ))
    except ValueError as error:
        raise click.UsageError(f"The secret cannot be used: {error}.") from None
    console = Console(highlight=False, emoji=False, markup=False, soft_wrap=True)

    def answer(request: Request) -> int:
        receipt = inbox.take(request)
        show(console, request, receipt)
        return receipt.status

    def announce(listeners: list[trio.SocketListener]) -> None:
        for listener in listeners:
            address, number = listener.socket.getsockname()[:2]
            shown = f"[{address}]" if ":" in address else address
            click.echo(f"Listening on http://{shown}:{number}/ until Ctrl-C", err=True)
        if not inbox.verifies:
            click.echo("No secret given: deliveries are shown, not verified (--secret-file).", err=True)

    async def serve() -> None:
        try:
            listeners = await trio.open_tcp_listeners(port, host=host)
        except OSError as error:
            raise click.ClickException(f"Cannot listen on {host} port {port}: {error.strerror or error}.") from None
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with trio.open_nursery() as nursery:
                await nursery.start(receive, listeners, answer)
                announce(listeners)
                async for _ in signals:
                    nursery.cancel_scope.cancel()

    run(serve)


def find_secret(secret: str | None, secret_file: Path | None, environ: Mapping[str, str]) -> str | None:
    """What was said on the command line, else the environment, else nothing. Raises `click.UsageError`."""
    if secret is not None and secret_file is not None:
        raise click.UsageError("Give --secret or --secret-file, not both.")
    if secret_file is not None:
        secret = read_secret_file(secret_file, "--secret-file")
    elif secret is None:
        secret = environ.get("TENANT_WEBHOOKS_SECRET")
    return None if secret is None else secret.strip()


def show(console: Console, request: Request, receipt: Receipt) -> None:
    """One request with the verdict on top, a duplicate by that alone. Nothing that came in can steer the terminal."""
    word, style = verdict(receipt)
    console.print()
    console.print(
        Text(
            f"{time.strftime('%H:%M:%S')} {printable(request.method)} {printable(request.target)} → {receipt.status}  "
        ),
        Text(word, style=style),
        sep="",
    )
    if receipt.duplicate:
        return
    for name, value in request.headers:
        console.print(Text(f"  {printable(name)}: {printable(value)}", style="dim"))
    console.print(JSONHighlighter()(Text(readable(request.body))))


def verdict(receipt: Receipt) -> tuple[str, str]:
    """The words for a receipt and their style."""
    if receipt.status != 200:
        return f"REFUSED: {printable(receipt.why or 'no reason')}", "bold red"
    if receipt.duplicate:
        return f"DUPLICATE of {printable(receipt.id or '')}, dropped", "bold yellow"
    return ("verified", "bold green") if receipt.verified else ("not verified: no secret given", "yellow")


def readable(body: bytes) -> str:
    """A body for people: JSON indented, anything else as text; cut at 20,000 characters."""
    text = body.decode("utf-8", "replace")
    with contextlib.suppress(msgspec.DecodeError, RecursionError):
        text = msgspec.json.format(body, indent=2).decode("utf-8", "replace")  # numbers as they were
    cut = text[:_SHOWN_CHARACTERS] + ("…" if len(text) > _SHOWN_CHARACTERS else "")
    return "\n".join(f"  {line}" for line in printable(cut, lines=True).split("\n"))
