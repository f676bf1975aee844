"""Since when each tenant's oldest delivery waits, looked up a few webhooks at a time: thousands can have a backlog."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
import trio

from daemon.refusals import StorageUnavailable

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from daemon.persistence.readers import Readers

LOOK_SECONDS = 1.0
# A thousand webhooks a second: they are looked at beside events that are in a hurry.
_AT_ONCE = 100
_PAUSE = 0.1
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

    async def run(self, readers: Readers, waiting: Callable[[], list[int]]) -> None:
        """Look at the webhooks that have a backlog, once a second, until cancelled; beside the writer, who has more
        urgent things to do."""
        while True:
            with suppress(StorageUnavailable):  # that is for the writer to find out
                self.created = await self._round(readers, waiting())
            await trio.sleep(LOOK_SECONDS)

    async def _round(self, readers: Readers, webhooks: list[int]) -> dict[int, int]:
        created: dict[int, int] = {}
        for first in range(0, len(webhooks), _AT_ONCE):
            for tenant, since in await readers.read(_look, webhooks[first : first + _AT_ONCE]):
                created[tenant] = min(since, created.get(tenant, since))
            await trio.sleep(_PAUSE)
        return created


def _look(connection: sqlite3.Connection, webhooks: list[int]) -> list[tuple[int, int]]:
    (found,) = connection.execute(_OLDEST, (msgspec.json.encode(webhooks).decode(),)).fetchone()
    return _found.decode(found)
