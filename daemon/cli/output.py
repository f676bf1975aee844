"""Where results go: the API's own JSON for programs, tables for people. Only results go to stdout."""

from __future__ import annotations

import json
import sys
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, TextIO, cast

import click
import msgspec
from msgspec import Raw, Struct
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from daemon.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from daemon.cli.failure import Failure

Document = dict[str, object]

# What a publisher sent may hold numbers that no float does.
_document = msgspec.json.Decoder(Document, float_hook=float)

_FOLDING = ("url", "name", "events", "permissions", "description")
_TENANT_REQUIRED = "/problems/tenant-required"
_FOLDED_WIDTH = 24  # columns that a long text keeps at the least
_UNBOUNDED = 100_000  # columns: lines meant for another program are never folded


class Page(Struct, frozen=True):
    """One page of any list of the API; items stay the bytes they were."""

    data: list[Raw]
    next: str | None = None


class Output:
    """`as_json`: exactly one JSON document on stdout, on failure a problem document on stderr instead."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def record(
        self,
        body: bytes,
        tables: Mapping[str, Sequence[str]] = MappingProxyType({}),
        documents: Sequence[str] = (),
    ) -> None:
        """One resource; `tables` as `show_record` takes it. `documents` are members that are shown as the JSON they
        are: to read their numbers could change them."""
        if self.as_json:
            _write(sys.stdout, body, b"\n")
            return
        members = msgspec.json.decode(body, type=dict[str, Raw])
        shown = {name: members.pop(name) for name in documents if name in members}
        show_record({name: msgspec.json.decode(member) for name, member in members.items()}, tables)
        for name, document in shown.items():
            if bytes(document) != b"null":
                console = console_for_results()
                console.print(Text(f"\n{name}", style="bold"))
                console.print(Text(indented(bytes(document))))

    def note(self, sentence: str) -> None:
        """A hint, or that something without a result is done: for people; programs have the exit code."""
        if not self.as_json:
            click.echo(sentence, err=True)

    def listing(self, pages: Iterator[bytes], columns: Sequence[str], *, whole: bool) -> None:
        """One page as it came, or (`whole`) all pages, written as they come: a long list needs no memory."""
        if self.as_json:
            self._json_list(pages, whole=whole)
            return
        for body in pages:
            page = msgspec.json.decode(body, type=Page)
            show_rows([_document.decode(item) for item in page.data], columns)
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
        culprits = [f"{culprit.place or 'the request'}: {culprit.detail}" for culprit in problem.errors]
        if problem.detail and [problem.detail] != culprits:
            click.echo(f"  {printable(problem.detail)}", err=True)
        for culprit in culprits:
            click.echo(f"  {printable(culprit)}", err=True)
        if problem.type == _TENANT_REQUIRED:
            click.echo("  Here that is the option --tenant ID.", err=True)
        if failure.retry_after is not None and problem.status == 503:  # CONTRACT §7: of this one it is promised
            click.echo(f"  Nothing was stored; try again in {printable(failure.retry_after)} s.", err=True)


def show_rows(rows: Sequence[Document], columns: Sequence[str]) -> None:
    """A table; `columns` are keys, dotted where they reach into an object, the most important first. Where the
    terminal is too narrow the last ones are left out, which is said: an id cut in pieces could not be copied."""
    if not rows:
        click.echo("None.", err=True)
        return
    console = console_for_results()
    cells = {column: [cell(reach(row, column)) for row in rows] for column in columns}
    kept = fitting({_heading(column): texts for column, texts in cells.items()}, console.width)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns[:kept]:
        table.add_column(_heading(column), overflow="fold", no_wrap=column not in _FOLDING)
    for texts in zip(*(cells[column] for column in columns[:kept]), strict=True):
        table.add_row(*map(Text, texts))
    console.print(table)
    if kept < len(columns):
        left_out = ", ".join(_heading(column).lower() for column in columns[kept:])
        click.echo(f"Left out for want of room: {left_out}. Widen the terminal, or use --json.", err=True)


def fitting(cells: Mapping[str, Sequence[str]], width: int) -> int:
    """How many of the columns, from the first, fit into `width`; at least one. A long text may be folded."""
    used = 0
    for number, (heading, texts) in enumerate(cells.items()):
        needed = max(cell_len(text) for text in texts)
        if heading.lower() in _FOLDING:
            needed = min(needed, _FOLDED_WIDTH)
        used += max(needed, cell_len(heading))
        if used > width and number:
            return number
        used += 2
    return len(cells)


def show_record(document: Document, tables: Mapping[str, Sequence[str]] = MappingProxyType({})) -> None:
    """One line a value; a list of objects becomes a table under its name, of all simple values unless `tables` says
    of which."""
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
            simple = [column for column in rows[0] if not isinstance(rows[0][column], (dict, list))]
            show_rows(rows, tables.get(key, simple))


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
        case float():
            return f"{value:.1f}"
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


def indented(document: bytes) -> str:
    """JSON text with a line for each member, its names, texts and numbers as they were."""
    return printable(msgspec.json.format(document, indent=2).decode("utf-8", "replace"), lines=True)


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


def for_a_terminal(document: bytes) -> bytes:
    """The same JSON with escapes for what does not print: it allows C1 controls and bidirectional marks in strings."""
    text = document.decode()
    return "".join(c if c.isprintable() or c in "\n\t" else json.dumps(c)[1:-1] for c in text).encode()


def _write(stream: TextIO, *parts: bytes) -> None:
    stream.flush()
    stream.buffer.writelines(map(for_a_terminal, parts) if stream.isatty() else parts)
    stream.buffer.flush()
