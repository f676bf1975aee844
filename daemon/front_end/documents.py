"""The API's own documents, made when the first client asks: in a thread, since that takes tens of milliseconds and
anybody may ask; once for the event types that there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from msgspec import Struct

from daemon.event_types.catalogue import Catalogue
from daemon.front_end.docs.api import api_page
from daemon.front_end.openapi import document
from daemon.front_end.representations import Representation, represented

if TYPE_CHECKING:
    from daemon.front_end.routing import AnyRoute


class _Made(Struct, frozen=True):
    event_types: Catalogue
    openapi: Representation
    page: Representation


class Documents:
    """They show the configured event types with their schemas. Cancelled, whoever waits leaves the others waiting."""

    def __init__(self, routes: tuple[AnyRoute, ...]) -> None:
        self._routes = routes
        self._made: _Made | None = None
        self._turn = trio.Lock()
        self._thread = trio.CapacityLimiter(1)

    async def openapi(self, event_types: Catalogue) -> Representation:
        return (await self._of(event_types)).openapi

    async def page(self, event_types: Catalogue) -> Representation:
        return (await self._of(event_types)).page

    async def _of(self, event_types: Catalogue) -> _Made:
        if (made := self._made) is not None and made.event_types is event_types:
            return made
        async with self._turn:
            if (made := self._made) is None or made.event_types is not event_types:
                made = self._made = await trio.to_thread.run_sync(self._make, event_types, limiter=self._thread)
            return made

    def _make(self, event_types: Catalogue) -> _Made:
        found = document(self._routes, event_types)
        return _Made(event_types, represented(found.text), represented(api_page(found.content)))
