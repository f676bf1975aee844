"""Which events may go. Pure: a walk hands in the rows it meets, in order, and is told what they come to.

An event's age counts from the end of its last delivery, or from its creation if that is later: what ended while the
clock was behind is not older than its event. It goes whole or not at all: never while a delivery waits, is under way or
is yet to be made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from daemon.model import Millis

if TYPE_CHECKING:
    from collections.abc import Sequence

KEPT_FOR_ITS_KEY: Final = 86_400_000
"""An event with an idempotency key stays at least so long (ms): CONTRACT §5."""

ANY_AGE: Final = 1 << 62


class Line(Struct, frozen=True, array_like=True):
    """An event and one of its deliveries, by seq; no delivery if it has none (left). `promised`: some are yet to be
    made. `finished` is None too for one that a recovery has yet to count."""

    event: int
    created: int
    keyed: bool
    promised: bool
    delivery: int | None
    finished: int | None


class Place(Struct, frozen=True):
    """Where a walk goes on: at `event`, whose deliveries through `delivery` have been met and would let it go."""

    event: int = 0
    delivery: int = 0


class Rule(Struct, frozen=True):
    """What ended before `horizon` may go, if it has a key only when it was created before `key_horizon`."""

    now: Millis
    horizon: Millis
    key_horizon: Millis


class Findings(Struct):
    """`expired`: events all of whose deliveries were met at once. `large`: one whose were met in several windows.
    `kept`: something was passed by that may go later. `young`: when the event that the walk stopped at was created."""

    expired: list[int]
    place: Place
    large: int | None = None
    kept: bool = False
    young: Millis | None = None


def judge(lines: Sequence[Line], place: Place, rule: Rule, *, cut: bool) -> Findings:
    """What the lines from `place` on come to. `cut`: there were more, so that the last event may have more of them.

    Events are in the order of their commits, so the walk stops at the first that is too young: so are the later ones,
    whatever their dates say, unless it dates from the future: the clock was wrong, and it is passed by."""
    found = Findings([], place)
    start = 0
    while start < len(lines):
        first, end = lines[start], start
        while end < len(lines) and lines[end].event == first.event:
            end += 1
        if rule.horizon < first.created <= rule.now:
            found.young = first.created
            return found
        own = lines[start:end]
        carried = place.delivery > 0 and place.event == first.event
        ended = max(first.created, *(line.finished or 0 for line in own))
        stays = (
            first.promised
            or ended > rule.horizon
            or (first.keyed and first.created > rule.key_horizon)
            or any(line.delivery is not None and line.finished is None for line in own)
        )
        if not stays and cut and end == len(lines):
            if start == 0:
                found.place = Place(first.event, own[-1].delivery or 0)
            return found
        found.place = Place(first.event + 1)
        if stays:
            found.kept = True
        elif carried:
            found.large = first.event
            return found
        else:
            found.expired.append(first.event)
        start = end
    return found
