"""`tenant-webhooks serve` and `check-config`: the daemon, and what it would do."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import click

from daemon.printable import printable
from daemon.settings import Settings, SettingsError, describe, load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Wrapped = TypeVar("Wrapped", bound=Callable[..., object])


def config_option(command: Wrapped) -> Wrapped:
    return click.option(
        "--config", metavar="FILE", envvar="TENANT_WEBHOOKS_CONFIG", help="A TOML file, or TENANT_WEBHOOKS_CONFIG."
    )(command)


def settings_or_exit(config: str | None) -> Settings:
    """The settings in force. A configuration that cannot be used ends the command with 2 and every reason."""
    try:
        return load(config, os.environ)
    except SettingsError as error:
        for problem in error.problems:
            click.echo(f"Error: {problem}", err=True)
        click.get_current_context().exit(2)


@click.command(short_help="Run the daemon.")
@config_option
def serve(config: str | None) -> None:
    """Run the daemon until SIGTERM or SIGINT; a second one does not wait. SIGHUP reads the configuration again.

    Without --config the defaults hold, and what TENANT_WEBHOOKS_<SECTION>__<KEY> says.

    \b
    tenant-webhooks serve --config /etc/tenant-webhooks/tenant-webhooks.toml
    TENANT_WEBHOOKS_SERVER__BIND=127.0.0.1:9090 tenant-webhooks serve
    """
    settings = settings_or_exit(config)
    # Here and not above: the daemon's rooms take longer to load than the whole of a client command.
    from daemon.supervisor import main

    click.get_current_context().exit(main(settings, lambda: load(config, os.environ)))


@click.command("check-config", short_help="Check a configuration and print it.")
@config_option
def check_config(config: str | None) -> None:
    """Check a configuration and print all of it, as TOML, with where each value comes from.

    \b
    tenant-webhooks check-config --config /etc/tenant-webhooks/tenant-webhooks.toml
    """
    settings = settings_or_exit(config)
    said = {} if config is None else tomllib.loads(Path(config).read_text(encoding="utf-8"))

    def source(section: str, key: str) -> str:
        variable = f"TENANT_WEBHOOKS_{section}" if section == "events" else f"TENANT_WEBHOOKS_{section}__{key}"
        variable = variable.upper()
        if variable in os.environ:
            return variable
        return printable(str(config)) if key in said.get(section, {}) else "default"

    for line in toml_lines(describe(settings), source):
        click.echo(line)


def toml_lines(sections: Mapping[str, Mapping[str, object]], source: Callable[[str, str], str]) -> Iterator[str]:
    """A configuration file that says the same as `sections`; a comment names each value's `source(section, key)`."""
    for number, (section, values) in enumerate(sections.items()):
        if number:
            yield ""
        yield f"[{section}]"
        for key, value in values.items():
            name = key if key.isascii() and key.isidentifier() else toml_value(key)
            yield f"{name} = {toml_value(value)}  # {source(section, key)}"


def toml_value(value: object) -> str:
    """A JSON value in TOML (1.0): tables inline."""
    if isinstance(value, dict):
        pairs = (f"{toml_value(key)} = {toml_value(part)}" for key, part in cast("dict[str, object]", value).items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml_value(part) for part in cast("list[object]", value)) + "]"
    # TOML forbids a raw DEL and surrogate pairs as escapes; JSON has the first and, when ASCII, writes the second.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
