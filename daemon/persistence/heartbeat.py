"""Whether an actor still goes round."""

from __future__ import annotations

import trio


class Heartbeat:
    def __init__(self) -> None:
        self._heard: trio.Event | None = None

    def beat(self) -> None:
        """The actor goes round once more."""
        if self._heard is not None:
            self._heard.set()
            self._heard = None

    async def heard(self) -> None:
        """Wait for the next beat; the caller sees to it that the actor has a reason to go round."""
        if self._heard is None:
            self._heard = trio.Event()
        await self._heard.wait()
