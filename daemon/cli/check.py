"""`tenant-webhooks check`: whether a database is whole and sound, also while the daemon runs on it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.cli.serve import config_option, settings_or_exit
from daemon.printable import printable

if TYPE_CHECKING:
    from daemon.persistence.checking import Report

_WHAT_TO_DO = """\
What to do: stop the daemon; under systemd its socket too, or the next client starts it again (systemctl stop
tenant-webhooks.socket tenant-webhooks.service). Move the database away together with its -wal and -shm files, and keep
them. Put the newest backup that this command finds sound in its place, with the owner of its folder (chown --reference)
and mode 0600, and start both again (README.md, "Backup and restore")."""


@click.command(short_help="Check the database, or a backup.")
@click.argument("file", type=click.Path(readable=False, path_type=Path), required=False)
@config_option
def check(file: Path | None, config: str | None) -> None:
    """Read all of FILE, or of the configured database, and say whether it is sound. Nothing is changed.

    The daemon may run meanwhile. Ten million deliveries take some minutes.

    \b
    tenant-webhooks check --config /etc/tenant-webhooks/tenant-webhooks.toml
    tenant-webhooks check /backup/webhooks-monday.db

    Exit codes: 0 sound, 1 damaged, contradictory or not to be read, 2 there is no such file, or it is a newer daemon's.
    """
    path = file or Path(settings_or_exit(config).storage.path)
    name = printable(str(path))
    # Here and not above: see `serve`.
    from daemon.persistence.checking import check as examine
    from daemon.persistence.database import UnreadableDatabase, exists
    from daemon.persistence.schema import NewerDatabase

    try:
        if not exists(path):
            hint = "" if file else " Check storage.path."
            raise click.UsageError(f"There is no database at {name}.{hint}")
        report = examine(path)
    except UnreadableDatabase as unreadable:
        raise click.ClickException(printable(str(unreadable))) from None
    except NewerDatabase as newer:
        raise click.UsageError(f"{name}: {newer}") from None
    except sqlite3.Error as error:
        raise click.ClickException(f"{name} cannot be read: {error}.\n{_WHAT_TO_DO}") from None
    for problem in report.problems:
        click.echo(f"{name}: {printable(problem)}.", err=True)
    if report.problems:
        raise click.ClickException(f"{name} is not sound.\n{_WHAT_TO_DO}")
    for line in _told(report):
        click.echo(f"{name}: {line}")


def _told(report: Report) -> list[str]:
    facts = report.facts
    assert facts is not None
    lines = [
        f"sound: {facts.tenants} tenants, {facts.events} events, {facts.deliveries} deliveries, of which "
        f"{facts.waiting} wait and {facts.sending} are under way"
    ]
    if facts.copy:
        lines.append("a backup: a daemon that starts on it sends nothing of what waits in it")
    elif facts.sending:
        lines.append("if no daemon runs on it, one was killed: the next start makes what was under way interrupted")
    if report.outdated:
        lines.append(f"schema version {facts.version}: the next start brings it up to date")
    return lines
