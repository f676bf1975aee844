"""How many connections one role's listeners may have open, and which of them makes room for another (CONTRACT §7)."""

from __future__ import annotations

from typing import Literal, Protocol

import trio

Role = Literal["main", "observe", "admin"]


class Member(Protocol):
    """A connection, as far as its crowd knows it."""

    def make_way(self) -> None:
        """Ends it if it still rests. Never blocks."""
        ...

    def drain(self) -> None:
        """Makes its answer in progress, if one is, the last. Never blocks."""
        ...


class Crowd:
    """The connections of one role. A connection *rests* while it waits for the other side: for a request or the rest of
    one, for its answer to be read, for the end. The one that has rested longest is the first to make room."""

    def __init__(self, role: Role, limit: int) -> None:
        self.role: Role = role
        self.limit = limit
        self.members: set[Member] = set()
        self._resting: dict[Member, None] = {}
        self._waiting = trio.lowlevel.ParkingLot()

    @property
    def resting(self) -> int:
        return len(self._resting)

    def join(self, member: Member) -> None:
        self.members.add(member)

    def leave(self, member: Member) -> None:
        self.members.discard(member)
        self._resting.pop(member, None)
        self._waiting.unpark()

    def rest(self, member: Member) -> None:
        self._resting[member] = None
        self._waiting.unpark()

    def rests(self, member: Member) -> bool:
        return member in self._resting

    def stir(self, member: Member) -> None:
        self._resting.pop(member, None)

    def evict(self) -> bool:
        """Sends away the member that has rested longest. False if none rests."""
        for member in self._resting:
            del self._resting[member]
            member.make_way()
            return True
        return False

    def drain(self) -> None:
        for member in self.members:
            member.drain()

    async def room(self) -> None:
        """Returns when one more may join, if need be once another has been sent away. Cancelled: changes nothing."""
        while len(self.members) >= self.limit and not self.evict():
            await self._waiting.park()
