"""`tenant-webhooks doctor`: what is wrong with this installation, and what to do about it."""

from __future__ import annotations

import os
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from msgspec import Struct
from rich.table import Table
from rich.text import Text

from daemon.cli.checks.finding import Finding, failed, ok
from daemon.cli.output import console_for_results
from daemon.cli.serve import config_option
from daemon.printable import printable
from daemon.settings import SettingsError, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from daemon.settings import Settings

_COLOURS = {"ok": "green", "warning": "yellow", "failed": "bold red"}
_CONFIGURATION = "configuration"
_PATIENCE = 30.0


class Report(Struct, frozen=True):
    failed: int
    warnings: int
    checks: list[Finding]


@click.command(short_help="Check this installation.")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def doctor(config: str | None, as_json: bool) -> None:
    """Check this installation, and say what to do about what is wrong: the configuration, who may read what, the disk,
    the clock, DNS, TLS roots, the database, file descriptors, the addresses, and the daemon if it runs.

    Nothing is changed, and a daemon that runs is not held up. Run it as the daemon's user, or as root. It ends with 1
    if a check failed.

    \b
    tenant-webhooks doctor --config /etc/tenant-webhooks/tenant-webhooks.toml
    """
    findings = list(examined(config))
    report = Report(
        failed=sum(finding.status == "failed" for finding in findings),
        warnings=sum(finding.status == "warning" for finding in findings),
        checks=findings,
    )
    if as_json:
        click.echo(msgspec.json.encode(report))
    else:
        _show(report)
    click.get_current_context().exit(1 if report.failed else 0)


def examined(config: str | None) -> Iterator[Finding]:
    """Everything there is to find. A configuration that cannot be used leaves what depends on it unlooked at."""
    # Here and not above: see `serve`.
    from daemon.cli.checks.addresses import addresses
    from daemon.cli.checks.clock import clock
    from daemon.cli.checks.database import database
    from daemon.cli.checks.descriptors import descriptors
    from daemon.cli.checks.disk import disk
    from daemon.cli.checks.names import names
    from daemon.cli.checks.permissions import permissions
    from daemon.cli.checks.running import running
    from daemon.cli.checks.trust import trust
    from daemon.persistence.lock import holder

    settings, finding = _configuration(config)
    yield finding
    if settings is not None:
        pid = holder(Path(settings.storage.path))
        yield from guarded("permissions", partial(permissions, settings, pid))
        yield from guarded("disk", partial(disk, settings))
        for check in (database, descriptors, addresses, running):
            yield from guarded(check.__name__, partial(check, settings, pid))
    for check in (clock, names, trust):
        yield from guarded(check.__name__, check)


def _configuration(config: str | None) -> tuple[Settings | None, Finding]:
    place = "The defaults, and the environment," if config is None else f"{printable(config)}, with the environment,"
    try:
        settings = load(config, os.environ)
    except SettingsError as error:
        wrong = " ".join(f"{printable(problem)}." for problem in error.problems)
        return None, failed(_CONFIGURATION, f"{place} cannot be used; checks that need it are left out.", wrong)
    return settings, ok(_CONFIGURATION, f"{place} can be used.")


def guarded(name: str, check: Callable[[], Iterator[Finding]], patience: float = _PATIENCE) -> Iterator[Finding]:
    """A check that breaks, or waits for a disk that does not answer, must not take the others with it."""
    findings: list[Finding] = []
    ended: list[bool] = []

    def run() -> None:
        try:
            findings.extend(check())
        except Exception as bug:
            says = f"The check itself broke: {type(bug).__name__}: {printable(str(bug))}"
            findings.append(failed(name, says, "That is a fault of this program: report it, with this line."))
        ended.append(True)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(patience)
    yield from list(findings)
    if not ended:
        says = f"The check did not end within {patience:g} s."
        yield failed(name, says, "Something it looks at does not answer: look for a disk or a mount that hangs.")


def _show(report: Report) -> None:
    console = console_for_results()
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in report.checks:
        detail = Text(printable(finding.detail))
        if finding.advice is not None:
            detail.append(f"\n→ {printable(finding.advice)}")
        table.add_row(Text(finding.status, style=_COLOURS[finding.status]), Text(finding.check), detail)
    console.print(table)
    right = len(report.checks) - report.failed - report.warnings
    console.print(Text(f"{report.failed} failed, {report.warnings} warnings, {right} ok", style="bold"))
