"""Since when the oldest delivery waits, looked up for a few webhooks at a time: thousands can have a backlog."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import sqlite3

_AT_ONCE = 100
_OLDEST = """
SELECT min(d.created) FROM json_each(?) j JOIN deliveries d ON d.seq = (
    SELECT q.seq FROM deliveries q JOIN webhooks w ON w.seq = q.webhook
    WHERE q.finished IS NULL AND q.status = 'pending'
    AND q.webhook = j.value AND q.seq > w.cancelled_through ORDER BY q.seq LIMIT 1)
"""


class Oldest:
    """`created`: when it was accepted (ms), as of the last round, or None."""

    def __init__(self) -> None:
        self.created: int | None = None
        self._round: int | None = None
        self._left: list[int] = []

    @property
    def looking(self) -> bool:
        """Whether a round is not over."""
        return bool(self._left)

    def begin(self, webhooks: list[int]) -> None:
        """A new round, over these."""
        self._left = webhooks
        self._round = None
        if not webhooks:
            self.created = None

    def look(self, connection: sqlite3.Connection) -> None:
        """The next few, in the writer's thread. Raises sqlite3.Error, and they are still to be looked at."""
        few = self._left[-_AT_ONCE:]
        (found,) = connection.execute(_OLDEST, (msgspec.json.encode(few).decode(),)).fetchone()
        del self._left[-_AT_ONCE:]
        self._round = min((at for at in (self._round, found) if at is not None), default=None)
        if not self._left:
            self.created = self._round
