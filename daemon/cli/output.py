"""Where results go: the API's own JSON for programs, tables for people. Only results go to stdout."""

from __future__ import annotations

import sys
from itertools import chain
from typing import TYPE_CHECKING, TextIO, cast

import click
import msgspec
from msgspec import Raw, Struct
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from daemon.cli.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from daemon.cli.failure import Failure

Document = dict[str, object]

_UNBOUNDED = 100_000  # columns: lines meant for another program are never folded


class Page(Struct, frozen=True):
    """One page of any list of the API; items stay the bytes they were."""

    data: list[Raw]
    next: str | None = None


class Output:
    """`as_json`: exactly one JSON document on stdout, on failure a problem document on stderr instead."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def record(self, body: bytes) -> None:
        """One resource."""
        if self.as_json:
            _write(sys.stdout, body, b"\n")
        else:
            show_record(msgspec.json.decode(body, type=Document))

    def done(self, sentence: str) -> None:
        """Success that the API answers without a body: programs need no more than exit code 0."""
        if not self.as_json:
            click.echo(sentence, err=True)

    def note(self, sentence: str) -> None:
        """A hint for people."""
        if not self.as_json:
            click.echo(sentence, err=True)

    def listing(self, pages: Iterator[bytes], columns: Sequence[str], *, whole: bool) -> None:
        """One page as it came, or (`whole`) all pages, written as they come: a long list needs no memory."""
        if self.as_json:
            self._json_list(pages, whole=whole)
            return
        for body in pages:
            page = msgspec.json.decode(body, type=Page)
            show_rows([msgspec.json.decode(item, type=Document) for item in page.data], columns)
            if page.next is not None and not whole:
                self.note(f"There are more: --all, or --cursor {printable(page.next)}")

    def _json_list(self, pages: Iterator[bytes], *, whole: bool) -> None:
        first = next(pages)  # before anything is written: an error leaves stdout empty
        if not whole:
            _write(sys.stdout, first, b"\n")
            return
        _write(sys.stdout, b'{"data":[')
        between = b""
        for body in chain([first], pages):
            if items := _items(body):
                _write(sys.stdout, between, items)
                between = b","
        _write(sys.stdout, b'],"next":null}\n')

    def failure(self, failure: Failure) -> None:
        """Programs get the problem document; people its title, its detail and each culprit."""
        if self.as_json:
            _write(sys.stderr, failure.body.rstrip(), b"\n")
            return
        problem = failure.problem
        status = f" ({problem.status})" if problem.status else ""
        click.echo(f"Error: {printable(problem.title or 'the request failed')}{status}", err=True)
        if problem.detail:
            click.echo(f"  {printable(problem.detail)}", err=True)
        for culprit in problem.errors:
            where = culprit.pointer if culprit.pointer is not None else culprit.parameter
            click.echo(f"  {printable(where or 'the request')}: {printable(culprit.detail)}", err=True)
        if failure.retry_after is not None:
            click.echo(f"  Nothing was stored; try again in {printable(failure.retry_after)} s.", err=True)


def show_rows(rows: Sequence[Document], columns: Sequence[str]) -> None:
    """A table; `columns` are keys, dotted where they reach into an object, and name themselves."""
    console = console_for_results()
    if not rows:
        click.echo("None.", err=True)
        return
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False)
    for column in columns:
        table.add_column(_heading(column), overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell(reach(row, column))) for column in columns))
    console.print(table)


def show_record(document: Document) -> None:
    """One line a value; a list of objects becomes a table under its name."""
    console = console_for_results()
    fields = Table(box=None, show_header=False, pad_edge=False)
    fields.add_column(style="bold", no_wrap=True)
    fields.add_column(overflow="fold")
    for key, value in flat(document):
        fields.add_row(Text(printable(key)), Text(cell(value)))
    console.print(fields)
    for key, value in document.items():
        if rows := objects(value):
            console.print()
            console.print(Text(printable(key), style="bold"))
            show_rows(rows, [column for column in rows[0] if not isinstance(rows[0][column], (dict, list))])


def console_for_results() -> Console:
    """A console on stdout as it is now; as wide as the terminal, or unbounded where there is none."""
    console = Console(highlight=False, emoji=False, markup=False)
    return console if console.is_terminal else Console(highlight=False, emoji=False, markup=False, width=_UNBOUNDED)


def cell(value: object) -> str:
    """A JSON value as a person reads it."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case str():
            return printable(value)
        case list():
            return ", ".join(cell(part) for part in cast("list[object]", value)) or "-"
        case dict():
            return printable(msgspec.json.encode(value).decode())
        case _:
            return str(value)


def reach(document: Mapping[str, object], path: str) -> object:
    """The value at a dotted path; None where the path ends early."""
    value: object = document
    for key in path.split("."):
        if not isinstance(value, dict):
            return None
        value = cast("dict[object, object]", value).get(key)
    return value


def flat(document: Document, prefix: str = "") -> Iterator[tuple[str, object]]:
    """The values of a document under dotted keys; lists of objects are left out."""
    for key, value in document.items():
        if isinstance(value, dict) and value:
            yield from flat(cast("Document", value), f"{prefix}{key}.")
        elif not objects(cast("object", value)):
            yield prefix + key, value


def objects(value: object) -> list[Document]:
    """`value` when it is a list of objects, else nothing."""
    if not isinstance(value, list):
        return []
    parts = cast("list[object]", value)
    return cast("list[Document]", parts) if parts and all(isinstance(part, dict) for part in parts) else []


def _heading(column: str) -> str:
    return "".join(f" {c.lower()}" if c.isupper() else c for c in column.replace(".", " ")).upper()


def _items(body: bytes) -> bytes:
    return b",".join(bytes(item) for item in msgspec.json.decode(body, type=Page).data)


def _write(stream: TextIO, *parts: bytes) -> None:
    stream.flush()
    stream.buffer.writelines(parts)
    stream.buffer.flush()
