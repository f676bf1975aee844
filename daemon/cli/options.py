"""The options that every client command shares, and what they come to."""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import click
import msgspec

from daemon.cli.client import DEFAULT_URL, LARGEST_PAGE, Api, UrlProblem, not_the_api
from daemon.cli.failure import Failure
from daemon.cli.output import Output

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Wrapped = TypeVar("Wrapped", bound=Callable[..., object])

P = ParamSpec("P")

_SECRET_FILE_BYTES = 64 * 1024


def client_command(command: Callable[Concatenate[Api, Output, P], None]) -> Callable[..., None]:
    """Gives a command its daemon and its output by `--url`, `--token`, `--token-file`, `--json`; 1 on a `Failure`."""

    @click.option(
        "--url", metavar="URL", help=f"The daemon's address, or TENANT_WEBHOOKS_URL.  [default: {DEFAULT_URL}]"
    )
    @click.option(
        "--token",
        metavar="TOKEN",
        help="A token; others on this machine can see it: rather TENANT_WEBHOOKS_TOKEN or the next.",
    )
    @click.option("--token-file", type=click.Path(path_type=Path), help="A file with the token on its first line.")
    @click.option("--json", "as_json", is_flag=True, help="Print the API's JSON, one document.")
    @functools.wraps(command)
    def with_client(
        url: str | None, token: str | None, token_file: Path | None, as_json: bool, *args: P.args, **kwargs: P.kwargs
    ) -> None:
        output = Output(as_json=as_json)
        try:
            api = Api(
                url or os.environ.get("TENANT_WEBHOOKS_URL") or DEFAULT_URL, find_token(token, token_file, os.environ)
            )
        except UrlProblem as problem:
            raise click.UsageError(f"--url: {problem}") from None
        with api:
            try:
                try:
                    command(api, output, *args, **kwargs)
                except msgspec.MsgspecError:
                    raise not_the_api(api.url) from None
            except Failure as failure:
                output.failure(failure)
                click.get_current_context().exit(failure.exit_code)
            except UnicodeEncodeError:
                raise click.UsageError("An argument is not valid text in this locale's encoding.") from None

    return with_client


def find_token(token: str | None, token_file: Path | None, environ: Mapping[str, str]) -> str:
    """What was said on the command line, else the environment. Raises `click.UsageError`, which repeats no token."""
    if token is not None and token_file is not None:
        raise click.UsageError("Give --token or --token-file, not both.")
    if token_file is not None:
        token = read_secret_file(token_file, "--token-file")
    token = (token if token is not None else environ.get("TENANT_WEBHOOKS_TOKEN", "")).strip()
    if not token:
        raise click.UsageError(
            "No token: give --token-file, or set TENANT_WEBHOOKS_TOKEN. The operator's token is in the file whose path "
            "the daemon logs when it starts."
        )
    if not all("!" <= character <= "~" for character in token):
        raise click.UsageError("The token holds characters that no token has. Was it copied whole, and nothing else?")
    return token


def read_secret_file(path: Path, option: str) -> str:
    """The first line of a small file, or of stdin for `-`. Raises `click.UsageError`."""
    try:
        if str(path) == "-":
            return sys.stdin.readline(_SECRET_FILE_BYTES).strip()
        with path.open(encoding="utf-8") as file:
            return file.readline(_SECRET_FILE_BYTES).strip()
    except UnicodeDecodeError:
        raise click.UsageError(f"{option}: {path} is not a text file.") from None
    except OSError as error:
        raise click.UsageError(f"{option}: cannot read {path}: {error.strerror}.") from None


def tenant_option(command: Wrapped) -> Wrapped:
    return click.option("--tenant", metavar="ID", help="Whose; with the operator's token, where one is needed.")(
        command
    )


def time_options(command: Wrapped) -> Wrapped:
    """`--since`, `--until`: of lists that are searched."""
    for option in (
        click.option("--until", metavar="TIME", help="Created before."),
        click.option("--since", metavar="TIME", help="Created then or later; RFC 3339 with a zone."),
    ):
        command = option(command)
    return command


def list_options(command: Wrapped) -> Wrapped:
    """`--limit`, `--cursor`, `--all`: see `list_query`."""
    for option in (
        click.option("--all", "whole", is_flag=True, help="Follow the cursors to the end."),
        click.option("--cursor", help="Go on where a list ended."),
        click.option("--limit", type=click.IntRange(1, LARGEST_PAGE), help="At most so many (with --all: a page)."),
    ):
        command = option(command)
    return command


def list_query(limit: int | None, cursor: str | None, whole: bool, **filters: str | None) -> dict[str, str]:
    """The query of a list: `filters` under the API's own names, those that are None left out."""
    size = LARGEST_PAGE if whole and limit is None else limit
    return present(limit=None if size is None else str(size), cursor=cursor, **filters)


def present(**parameters: str | None) -> dict[str, str]:
    return {name: value for name, value in parameters.items() if value is not None}


def given(**fields: object) -> dict[str, object]:
    """The fields of a request that were said on the command line; `()` and None were not."""
    return {name: value for name, value in fields.items() if value is not None and value != ()}
