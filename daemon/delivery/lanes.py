"""Whose turn it is among the webhooks of one tenant, and how many slots those may hold that are not prompt. Pure."""

from __future__ import annotations

from daemon.delivery.line import Line


class Place:
    """Where a webhook stands. `prompt` is None if it was never tried. Written by `Lanes.move` alone."""

    __slots__ = ("busy", "claimable", "line", "prompt")

    def __init__(self, prompt: bool | None) -> None:
        self.busy = 0
        self.claimable = 0
        self.prompt = prompt
        self.line: Line | None = None


class Lanes:
    """The last quarter of a tenant's slots is open only to prompt webhooks: those none of whose attempts has been in
    flight for more than a second, and whose last one ended within a second. Of that quarter, webhooks that were never
    tried and have no backlog may take half (rounded down) altogether, and only for the first slot of each: a backlog is
    reason to doubt, and those behind one would take it all before a new webhook's first event.

    So webhooks that are not prompt take a slot only while all of them together hold fewer than three quarters, or for
    the first attempt at one seven eighths. A webhook that turns slow keeps what it holds until its attempts end: time
    alone only ever closes slots, so nobody has to be woken by a clock. Where both kinds may have a slot, whoever has
    the least goes first, equals of the two kinds take turns; prompt ones cannot starve the others, nor they them.

    Webhooks that are not prompt take no more slots than are `allowed`; but for first attempts as above, and for looks,
    which seldom find anything to begin."""

    def __init__(self, slots: int) -> None:
        self.limit(slots)
        self._prompt, self._untried, self._looks, self._others = Line(), Line(), Line(), Line()
        self._prompt_claimable = 0
        self._unsure_claimable = 0
        # Of which are of webhooks that were never tried, whichever line they stand in.
        self._untried_claimable = 0
        self._unsure_busy = 0
        self._turn = False
        self.allowed = 0
        """How many slots webhooks that are not prompt may still take; `move` counts it down."""

    def limit(self, slots: int) -> None:
        """So many are the tenant's. With fewer than before, what is held beyond is kept until its attempts end."""
        reserved = slots // 4
        self._common = slots - reserved
        self._first = self._common + reserved // 2

    @property
    def claimable(self) -> int:
        """How many slots could be put to use, if there were any number of them."""
        if not self._unsure_claimable:
            return self._prompt_claimable
        free, bound = self._unsure_parts()
        return self._prompt_claimable + free + min(bound, self.allowed)

    @property
    def pressing(self) -> bool:
        """Whether any of them may be for a webhook that nobody knows to be slow."""
        return bool(self._prompt_claimable or (self._untried_claimable and self.claimable))

    @property
    def withheld(self) -> int:
        """How many more it would be if any number were allowed."""
        return max(0, self._unsure_parts()[1] - self.allowed) if self._unsure_claimable else 0

    def move(
        self, webhook: int, place: Place, busy: int, claimable: int, prompt: bool | None, *, backlog: bool, look: bool
    ) -> None:
        """The webhook holds `busy` slots now and could use `claimable` more; `backlog`: that is not all it has, `look`:
        it may have nothing."""
        line = place.line
        if prompt and line is self._prompt:
            self._prompt_claimable += claimable - place.claimable
            place.busy, place.claimable = busy, claimable
            if claimable:
                self._prompt.put(webhook, busy)
            else:
                self._prompt.leave(webhook)
            return
        if place.prompt:
            self._prompt_claimable -= place.claimable
        else:
            self._unsure_claimable -= place.claimable
            if place.prompt is None:
                self._untried_claimable -= place.claimable
            self._unsure_busy -= place.busy
        if line is self._others and busy > place.busy:
            self.allowed -= busy - place.busy
        place.busy, place.claimable, place.prompt = busy, claimable, prompt
        if prompt:
            self._prompt_claimable += claimable
            line = self._prompt
        else:
            self._unsure_claimable += claimable
            if prompt is None:
                self._untried_claimable += claimable
            self._unsure_busy += busy
            first = prompt is None and not busy and not backlog
            line = self._untried if first else self._looks if look else self._others
        if place.line is not line:
            if place.line is not None:
                place.line.leave(webhook)
            place.line = line
        if claimable:
            line.put(webhook, busy)
        else:
            line.leave(webhook)

    def first(self) -> tuple[int, int] | None:
        """Whose turn it is, and how many slots it may take before another's turn has to be looked for."""
        if not self._unsure_claimable or (unsure := self._unsure()) is None:
            head = self._prompt.first()
            return None if head is None else (head, 1 if len(self._prompt) > 1 else self._prompt_claimable)
        if not self._prompt:
            alone = unsure is self._others and len(unsure) == 1
            return self._head(unsure), min(self.allowed, self._common - self._unsure_busy) if alone else 1
        ahead = self._prompt.fewest - unsure.fewest
        if not ahead:
            self._turn = not self._turn
        return self._head(unsure if ahead > 0 or (not ahead and self._turn) else self._prompt), 1

    def _unsure(self) -> Line | None:
        # Those never tried go before the others: one attempt, and it is known where they belong.
        if self._untried and self._unsure_busy < self._first:
            return self._untried
        if self._unsure_busy >= self._common:
            return None
        if self._looks:
            return self._looks
        return self._others if self._others and self.allowed else None

    def _unsure_parts(self) -> tuple[int, int]:
        """How many slots webhooks that are not prompt could use: those that need no allowance, and the others."""
        first = max(0, min(len(self._untried), self._first - self._unsure_busy))
        room = max(0, min(self._unsure_claimable - first, self._common - self._unsure_busy - first))
        looks = min(len(self._looks), room)
        return first + looks, room - looks

    @staticmethod
    def _head(line: Line) -> int:
        head = line.first()
        assert head is not None
        return head
