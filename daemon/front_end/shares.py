"""What one tenant may take of the front end at a time, so that it cannot shut the others out or fill the memory."""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Concatenate, Final, ParamSpec, TypeVar

import trio

from daemon.front_end.problems import Problem

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncGenerator, Callable

    from daemon.persistence.actor import Persistence

P = ParamSpec("P")
T = TypeVar("T")
K = TypeVar("K", int, int | None)

LARGE: Final = 64 * 1024
"""Bytes; a body with more is large."""

_LARGE_AT_A_TIME = 32
_READS_AT_A_TIME = 2
_EXAMINATIONS_AT_A_TIME = 2  # there are four readers
_SOON = "Nothing was stored; send this again when some have been answered."


class Shares:
    """Counts tenants' requests in progress, by the tenant's seq, until their answers have been sent: at most `requests`
    of one tenant, 32 of those with large bodies or answers. Operators are not counted."""

    def __init__(self, requests: int) -> None:
        self._most = requests
        self._requests = Counter[int]()
        self._large = Counter[int]()

    def of(self, tenant: int) -> Share:
        """One more request. Raises Problem `backlog-full`."""
        if self._requests[tenant] >= self._most:
            raise Problem("backlog-full", f"{self._most} requests of this tenant are in progress. {_SOON}")
        self._requests[tenant] += 1
        return Share(self._requests, self._large, tenant)


class Share:
    """One request's part; `end` gives all of it back."""

    __slots__ = ("_is_large", "_large", "_requests", "_tenant")

    def __init__(self, requests: Counter[int], large: Counter[int], tenant: int) -> None:
        self._requests = requests
        self._large = large
        self._tenant = tenant
        self._is_large = False

    def grows_large(self) -> None:
        """Raises Problem `backlog-full`."""
        if self._is_large:
            return
        if self._large[self._tenant] >= _LARGE_AT_A_TIME:
            kib = LARGE // 1024
            detail = f"{_LARGE_AT_A_TIME} requests of this tenant with more than {kib} KiB are in progress. {_SOON}"
            raise Problem("backlog-full", detail)
        self._large[self._tenant] += 1
        self._is_large = True

    def end(self) -> None:
        _less(self._requests, self._tenant)
        if self._is_large:
            _less(self._large, self._tenant)


class Turns:
    """What a tenant may do at most `at_a_time` of; more of it waits, first come, first served."""

    def __init__(self, at_a_time: int) -> None:
        self._most = at_a_time
        self._turns: dict[int | None, trio.Semaphore] = {}
        self._wanting = Counter[int | None]()

    @asynccontextmanager
    async def of(self, tenant: int | None) -> AsyncGenerator[None]:
        """None: an operator's, one more tenant here."""
        self._wanting[tenant] += 1
        turn = self._turns.setdefault(tenant, trio.Semaphore(self._most))
        try:
            async with turn:
                yield
        finally:
            _less(self._wanting, tenant)
            if tenant not in self._wanting:
                del self._turns[tenant]


class FairReads:
    """The store's reads, few of one tenant at a time: its slow ones wait for each other, not others for them."""

    def __init__(self, store: Persistence) -> None:
        self._store = store
        self._turns = Turns(_READS_AT_A_TIME)
        self._examinations = trio.Semaphore(_EXAMINATIONS_AT_A_TIME)

    async def read(
        self,
        tenant: int | None,
        query: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """`Persistence.read`, in `tenant`'s turn (None: an operator's, at once)."""
        if tenant is None:
            return await self._store.read(query, *args, **kwargs)
        async with self._turns.of(tenant):
            return await self._store.read(query, *args, **kwargs)

    async def examine(
        self,
        tenant: int | None,
        query: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """A read that may take seconds: those of all tenants and operators together leave readers to the others."""
        async with self._turns.of(tenant), self._examinations:
            return await self._store.read(query, *args, **kwargs)


def _less(counts: Counter[K], tenant: K) -> None:
    counts[tenant] -= 1
    if not counts[tenant]:
        del counts[tenant]
