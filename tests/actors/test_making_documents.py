"""The API's documents: made once, and not where everybody waits for it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import trio

from daemon.event_types.catalogue import Catalogue
from daemon.front_end.documents import Documents
from daemon.front_end.routes import ROUTES

if TYPE_CHECKING:
    from daemon.event_types.kinds import Description


class Witness(Catalogue):
    """Knows in which threads documents were made of it."""

    def __init__(self) -> None:
        super().__init__({})
        self.threads: list[int] = []

    def descriptions(self) -> list[Description]:
        self.threads.append(threading.get_ident())
        return super().descriptions()


async def test_they_are_made_once_however_many_ask_and_in_a_thread_of_their_own() -> None:
    documents, types = Documents(ROUTES), Witness()
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(documents.openapi, types)
            nursery.start_soon(documents.page, types)
    assert len(types.threads) == 1
    assert threading.get_ident() not in types.threads


async def test_other_event_types_make_others() -> None:
    documents, types, others = Documents(ROUTES), Witness(), Witness()
    first = await documents.openapi(types)
    assert await documents.openapi(others) == first
    assert (len(types.threads), len(others.threads)) == (1, 1)
