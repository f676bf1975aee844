"""`tenant-webhooks backup`: a copy of the database while the daemon runs."""

from __future__ import annotations

from pathlib import Path

import click

from daemon.cli.serve import config_option, settings_or_exit


@click.command(short_help="Copy the database to FILE.")
@click.argument("file", type=click.Path(path_type=Path))
@config_option
def backup(file: Path, config: str | None) -> None:
    """Copy the configured database to FILE, which must not exist yet; the daemon may run meanwhile.

    The copy is marked: a daemon started on it sends nothing that was waiting in it, and says how many that were.

    \b
    tenant-webhooks backup --config /etc/tenant-webhooks/tenant-webhooks.toml /backup/webhooks-monday.db
    """
    settings = settings_or_exit(config)
    # Here and not above: see `serve`.
    from daemon.persistence.backup import BackupError
    from daemon.persistence.backup import backup as copy

    try:
        copy(Path(settings.storage.path), file)
    except BackupError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"Copied {settings.storage.path} to {file}", err=True)
