"""Turns by owner: each has a queue of its own, and the next turn is another's, however long one's queue is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

T = TypeVar("T", bound="Hashable")


class Rotation(Generic[T]):
    """Things in it are there once."""

    def __init__(self) -> None:
        self._queues: dict[int | None, dict[T, None]] = {}

    def __bool__(self) -> bool:
        return bool(self._queues)

    def put(self, owner: int | None, thing: T) -> None:
        """To the end of its owner's queue; one that is in it keeps its place."""
        self._queues.setdefault(owner, {})[thing] = None

    def discard(self, owner: int | None, thing: T) -> None:
        queue = self._queues.get(owner, {})
        queue.pop(thing, None)
        if not queue:
            self._queues.pop(owner, None)

    def turn(self) -> T:
        """The first thing of the owner whose turn it is, which it stays until discarded. Raises StopIteration if there
        is none."""
        owner = next(iter(self._queues))
        self._queues[owner] = queue = self._queues.pop(owner)
        return next(iter(queue))
