"""Whether everything that was accepted arrived, and nothing twice: a promise, not a figure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from msgspec import Struct

from tests.bench.figures import Figure, Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_GROUP = "completeness"

Arrived = tuple[str, str]
"""(path at the receiver, webhook-id)."""


class Tally(Struct, frozen=True):
    """`deliveries` that 202s promised; those `missing` at the receiver; arrivals beyond the first of each."""

    deliveries: int = 0
    missing: int = 0
    twice: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.deliveries + other.deliveries, self.missing + other.missing, self.twice + other.twice)


def tally(promised: Iterable[Arrived], arrived: Iterable[Arrived]) -> Tally:
    """Each promised delivery is looked up among all that arrived; what nobody promised is none of its business."""
    wanted = set(promised)
    seen = Counter(key for key in arrived if key in wanted)
    return Tally(len(wanted), len(wanted) - len(seen), seen.total() - len(seen))


def figures(tallies: Mapping[str, Tally]) -> list[Figure]:
    """What each scenario's deliveries came to, and all of them."""
    total = sum(tallies.values(), Tally())
    if not total.deliveries:
        return []
    looked_up = ", ".join(f"{name} {each.deliveries:,}" for name, each in tallies.items())
    share = 100 * (1 - total.missing / total.deliveries)
    missing = ", ".join(f"{name} {each.missing:,}" for name, each in tallies.items() if each.missing)
    twice = ", ".join(f"{name} {each.twice:,}" for name, each in tallies.items() if each.twice)
    return [
        Figure(_GROUP, "arrived", share, "%", target=Target("at least", 100), note=f"of {looked_up}"),
        Figure(_GROUP, "not arrived", total.missing, "", target=Target("at most", 0), note=missing),
        Figure(_GROUP, "arrived twice", total.twice, "", target=Target("at most", 0), note=twice),
    ]


def broken(measured: Iterable[Figure]) -> bool:
    """Whether something was missing, or came twice."""
    return any(figure.group == _GROUP and figure.verdict == "missed" for figure in measured)
