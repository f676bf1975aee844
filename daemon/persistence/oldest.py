"""Since when each tenant's oldest delivery waits, looked up a few webhooks at a time: thousands can have a backlog."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import sqlite3

_AT_ONCE = 100
_OLDEST = """
SELECT json_group_array(json_array(w.tenant, d.created)) FROM json_each(?) j JOIN webhooks w ON w.seq = j.value
JOIN deliveries d ON d.seq = (
    SELECT q.seq FROM deliveries q WHERE q.finished IS NULL AND q.status = 'pending'
    AND q.webhook = w.seq AND q.seq > w.cancelled_through ORDER BY q.seq LIMIT 1)
"""
_found = msgspec.json.Decoder(list[tuple[int, int]])


class Oldest:
    """`created`: when it was accepted (ms), by tenant, as of the last round; a tenant that none waits for is left
    out."""

    def __init__(self) -> None:
        self.created: dict[int, int] = {}
        self._round: dict[int, int] = {}
        self._left: list[int] = []

    @property
    def looking(self) -> bool:
        """Whether a round is not over."""
        return bool(self._left)

    def begin(self, webhooks: list[int]) -> None:
        """A new round, over these."""
        self._left = webhooks
        self._round = {}
        if not webhooks:
            self.created = {}

    def look(self, connection: sqlite3.Connection) -> None:
        """The next few, in the writer's thread. Raises sqlite3.Error, and they are still to be looked at."""
        few = self._left[-_AT_ONCE:]
        (found,) = connection.execute(_OLDEST, (msgspec.json.encode(few).decode(),)).fetchone()
        del self._left[-_AT_ONCE:]
        for tenant, created in _found.decode(found):
            self._round[tenant] = min(created, self._round.get(tenant, created))
        if not self._left:
            self.created = self._round
