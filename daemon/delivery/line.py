"""A waiting line in which whoever has the least goes first."""

from __future__ import annotations

from collections import OrderedDict


class Line:
    """Keys ordered by a small count, the smallest first, equals in order of arrival. Every operation is O(1) in keys.

    Each count has its own queue, and one integer has a bit set for each count whose queue is not empty."""

    __slots__ = ("_counts", "_occupied", "_queues")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._queues: dict[int, OrderedDict[int, None]] = {}
        self._occupied = 0

    def __len__(self) -> int:
        return len(self._counts)

    def put(self, key: int, count: int) -> None:
        """Enter, or move to the end of another count's queue; with the same count a key keeps its place."""
        before = self._counts.get(key)
        if before == count:
            return
        if before is not None:
            self._remove(key, before)
        self._counts[key] = count
        queue = self._queues.get(count)
        if queue is None:
            queue = self._queues[count] = OrderedDict()
            self._occupied |= 1 << count
        queue[key] = None

    def leave(self, key: int) -> None:
        """Go away; nothing happens if the key is not in line."""
        count = self._counts.pop(key, None)
        if count is not None:
            self._remove(key, count)

    def first(self) -> int | None:
        """Whose turn it is; it stays in line."""
        if not self._occupied:
            return None
        fewest = (self._occupied & -self._occupied).bit_length() - 1
        return next(iter(self._queues[fewest]))

    @property
    def fewest(self) -> int:
        """The count of the first; -1 if nobody is in line."""
        return (self._occupied & -self._occupied).bit_length() - 1

    def _remove(self, key: int, count: int) -> None:
        queue = self._queues[count]
        del queue[key]
        if not queue:
            del self._queues[count]
            self._occupied ^= 1 << count
