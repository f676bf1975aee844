"""The one place where a test polls, for what sends no signal of its own (a row in the API, a file's length)."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

INTERVAL = 0.02


async def eventually(probe: Callable[[], Awaitable[T]], what: str, *, within: float = 10) -> T:
    """Ask `probe` until its answer is true, and return that; AssertionError after `within` seconds."""
    deadline = trio.current_time() + within
    while True:
        answer = await probe()
        if answer:
            return answer
        assert trio.current_time() < deadline, f"not within {within} s: {what} (last answer: {answer!r})"
        await trio.sleep(INTERVAL)
