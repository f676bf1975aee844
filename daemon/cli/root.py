"""The program itself: its commands, and how it ends. Exit codes: 0 done, 1 failed, 2 usage or configuration."""

from __future__ import annotations

import io
import sys

import click

from daemon import __version__
from daemon.cli.backup import backup
from daemon.cli.check import check
from daemon.cli.deliveries import deliveries
from daemon.cli.demo import demo
from daemon.cli.doctor import doctor
from daemon.cli.event_types import event_types
from daemon.cli.events import events
from daemon.cli.listen import listen
from daemon.cli.recoveries import recover, recoveries
from daemon.cli.serve import check_config, serve
from daemon.cli.status import status
from daemon.cli.tenants import tenants
from daemon.cli.tokens import tokens
from daemon.cli.verify import verify
from daemon.cli.webhooks import webhooks

PROGRAM = "tenant-webhooks"


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 failed, 2 usage or configuration.",
)
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
def cli() -> None:
    """A self-hosted webhook sender: one process, one file, exactly one POST per event and webhook.

    \b
    See it work:          tenant-webhooks demo
    Run it:               tenant-webhooks serve --config tenant-webhooks.toml
    Talk to it:           tenant-webhooks webhooks list --help
    """


for command in (
    serve,
    check_config,
    status,
    doctor,
    backup,
    check,
    demo,
    listen,
    verify,
    tenants,
    tokens,
    webhooks,
    event_types,
    events,
    deliveries,
    recover,
    recoveries,
):
    cli.add_command(command)


def main() -> None:
    """Runs one command and ends the process."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Names and bodies come from outside; a terminal that cannot show a letter of them must not end the command.
            stream.reconfigure(errors="backslashreplace")
    cli.main(prog_name=PROGRAM)
