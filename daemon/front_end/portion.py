"""A request's long work on the event loop, in portions."""

from __future__ import annotations

import trio

_MOST = 50_000  # of `event_types.weight`: a millisecond or two


class Portion:
    """What a request has done since others last had their turn: a batch of a thousand events takes 20 ms or more."""

    def __init__(self) -> None:
        self._done = 0

    async def about_to(self, work: int) -> None:
        """Before so much work, by weight: lets others have their turn first if there was much already."""
        self._done += work
        if self._done > _MOST:
            self._done = work
            await trio.lowlevel.checkpoint()
