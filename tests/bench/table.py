"""Figures as one table: for a terminal and for Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.figures import Figure, Target

COLUMNS = ("figure", "measured", "beside it", "ratio", "target", "verdict", "how")
_SIGNS = {"at least": "≥", "at most": "≤"}
_COLOURS = {"met": "green", "missed": "red", "": "white"}


def number(value: float) -> str:
    """Three significant digits, thousands apart; whole numbers from a hundred on."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def quantity(value: float | None, unit: str) -> str:
    return "" if value is None else f"{number(value)} {unit}".rstrip()


def target(wanted: Target | None, unit: str) -> str:
    if wanted is None:
        return ""
    sign, suffix = _SIGNS[wanted.kind], f" {unit}".rstrip() if wanted.of == "value" else " x"
    aim = "" if wanted.aim is None else f" (aim {number(wanted.aim)})"
    return f"{sign} {number(wanted.limit)}{suffix}{aim}"


def cells(figure: Figure) -> tuple[str, ...]:
    """A figure's row, in the order of `COLUMNS`."""
    return (
        f"{figure.group}: {figure.name}",
        quantity(figure.value, figure.unit),
        quantity(figure.base, figure.unit),
        "" if figure.ratio is None else f"{figure.ratio:.2f}",
        target(figure.target, figure.unit),
        figure.verdict,
        figure.note,
    )


def markdown(figures: Sequence[Figure]) -> str:
    rows = [COLUMNS, ("---",) * len(COLUMNS), *(cells(figure) for figure in figures)]
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |\n" for row in rows)


def terminal(figures: Sequence[Figure]) -> Table:
    """Without the last column, which is for the document."""
    table = Table(*COLUMNS[:-1])
    for figure in figures:
        colour = _COLOURS[figure.verdict]
        table.add_row(*(f"[{colour}]{escape(cell)}[/]" for cell in cells(figure)[:-1]))
    return table
