"""What `webhooks create` and `update` take of a webhook's own headers and limits."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    Wrapped = TypeVar("Wrapped", bound=Callable[..., object])

DEFAULT = "default"
_MOST_BYTES = 64 * 1024


class _OrDefault(click.ParamType[float | str]):
    """A number, or `default` to go back to what the daemon is set to."""

    name = f"number|{DEFAULT}"

    def __init__(self, number: click.ParamType[Any, Any]) -> None:
        self._number = number

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        return DEFAULT if value == DEFAULT else self._number.convert(value, param, ctx)


def options_of_its_own(command: Wrapped) -> Wrapped:
    """`--header-file`, `--timeout`, `--max-concurrent`: see `chosen`."""
    for option in (
        click.option(
            "--max-concurrent",
            metavar=f"N|{DEFAULT}",
            type=_OrDefault(click.IntRange(min=1)),
            help="Attempts at a time; 1: one after the other, in the order of acceptance.",
        ),
        click.option(
            "--timeout",
            metavar=f"SECONDS|{DEFAULT}",
            type=_OrDefault(click.FloatRange(1, 30)),
            help="Seconds that one attempt may take, 1 to 30.",
        ),
        click.option(
            "--header-file",
            type=click.Path(path_type=Path),
            help='Headers to send with each delivery, one "Name: value" a line; - for stdin. They replace all it has: '
            "an empty file takes them away.",
        ),
    ):
        command = option(command)
    return command


def chosen(**options: object) -> dict[str, object]:
    """The fields of a request for what was said on the command line. Raises `click.UsageError`."""
    file, timeout, most = options["header_file"], options["timeout"], options["max_concurrent"]
    fields: dict[str, object] = {}
    if isinstance(file, Path):
        fields["headers"] = read_headers(file)
    if timeout is not None:
        fields["timeout"] = None if timeout == DEFAULT else timeout
    if most is not None:
        fields["maxConcurrent"] = None if most == DEFAULT else most
    return fields


def read_headers(path: Path) -> dict[str, str]:
    """Raises `click.UsageError`, which repeats no value."""
    try:
        if str(path) == "-":
            text = sys.stdin.read(_MOST_BYTES)
        else:
            with path.open(encoding="utf-8") as file:
                text = file.read(_MOST_BYTES)
    except UnicodeDecodeError:
        raise click.UsageError(f"--header-file: {path} is not a text file.") from None
    except OSError as error:
        raise click.UsageError(f"--header-file: cannot read {path}: {error.strerror}.") from None
    headers: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        name, colon, value = line.partition(":")
        if not line.strip():
            continue
        if not colon:
            raise click.UsageError(f'--header-file: line {number} is not "Name: value".')
        if name.strip() in headers:
            raise click.UsageError(f"--header-file: line {number} names a header that an earlier line has.")
        headers[name.strip()] = value.strip()
    return headers
