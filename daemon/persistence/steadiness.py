"""Whether the wall clock can be believed: it is held against a clock that nobody sets, and at the start against what
is stored. Pure: both times are handed in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from daemon.model import Millis

_HOUR, _DAY = 3_600_000, 86_400_000


class Steadiness:
    """Times in ms; `span`: the shortest age that counts. A jump of more than an hour, or a tenth of the span, is one.

    At the start the wall clock may be ahead of the newest that is stored by half the span at most (nothing may have
    happened, the daemon may have been stopped), and not behind it. After a jump the clock is doubted until it is back,
    or has gone on steadily for a day, or for the span if that is shorter."""

    def __init__(self, span: Millis, newest: Millis | None, wall: Millis, steady: Millis) -> None:
        self._tolerance = min(_HOUR, span // 10)
        self._patience = min(_DAY, span)
        self._offset = wall - steady
        # What the offset may be without a jump.
        self._low = self._offset if newest is None else newest - steady
        self._high = self._low if newest is None else self._low + span // 2
        self._since: Millis | None = None if self._expected() else steady

    @property
    def doubted(self) -> bool:
        return self._since is not None

    @property
    def jump(self) -> Millis:
        """How far the clock is from where it was expected: ahead, or behind if negative."""
        return self._offset - (self._high if self._offset > self._high else self._low)

    @property
    def patience(self) -> Millis:
        """How long a doubted clock has to go on steadily."""
        return self._patience

    def look(self, wall: Millis, steady: Millis) -> Literal["jumped", "steady"] | None:
        """To be called every few seconds, and before the time is acted upon. What has changed since the last time, if
        anything has."""
        before, self._offset = self._offset, wall - steady
        jumped = abs(self._offset - before) > self._tolerance
        if self._since is None:
            if not jumped:
                self._low = self._high = self._offset
                return None
            self._low = self._high = before
            self._since = steady
            return "jumped"
        if self._expected() or (not jumped and steady - self._since >= self._patience):
            self._low = self._high = self._offset
            self._since = None
            return "steady"
        if jumped:
            self._since = steady
            return "jumped"
        return None

    def _expected(self) -> bool:
        return self._low - self._tolerance <= self._offset <= self._high + self._tolerance
