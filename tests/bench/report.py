"""The figures on disk: all of them as JSON, and the table in README.md between its two marks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tests.bench.table import markdown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.bench.figures import Figure

BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"


def write_json(path: Path, machine: Mapping[str, str], figures: Sequence[Figure]) -> None:
    rows = [{**msgspec.to_builtins(figure), "ratio": figure.ratio, "verdict": figure.verdict} for figure in figures]
    path.write_bytes(msgspec.json.format(msgspec.json.encode({"machine": machine, "figures": rows}), indent=1) + b"\n")


def write_readme(path: Path, machine: Mapping[str, str], figures: Sequence[Figure]) -> None:
    path.write_text(with_results(path.read_text(), machine, figures))


def with_results(text: str, machine: Mapping[str, str], figures: Sequence[Figure]) -> str:
    """The document with its measured part replaced. Raises ValueError when it has no such part."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("README.md has lost the marks between which the results go")
    described = "".join(f"- {name}: {value}\n" for name, value in machine.items())
    return f"{before}{BEGIN}\n{described}\n{markdown(figures)}\n{END}{after}"
