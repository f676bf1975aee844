"""A measured number, what it is held against, and what that makes of it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Verdict = Literal["met", "missed", ""]


class Target(Struct, frozen=True):
    """`limit` holds for the figure's value, or for its ratio to the bare loop; `aim` is what is wished beyond it."""

    kind: Literal["at least", "at most"]
    limit: float
    of: Literal["value", "ratio"] = "value"
    aim: float | None = None

    def holds(self, measured: float) -> bool:
        return measured >= self.limit if self.kind == "at least" else measured <= self.limit


class Figure(Struct, frozen=True):
    """`base` is the same thing measured without what is being judged, in the same run: the bare loop, the quiet
    neighbour, the small file. `note` says how, in a few words."""

    group: str
    name: str
    value: float
    unit: str
    base: float | None = None
    target: Target | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        return None if not self.base else self.value / self.base

    @property
    def verdict(self) -> Verdict:
        """Empty where there is no target, or nothing to hold against it."""
        if self.target is None:
            return ""
        measured = self.value if self.target.of == "value" else self.ratio
        if measured is None:
            return ""
        return "met" if self.target.holds(measured) else "missed"
