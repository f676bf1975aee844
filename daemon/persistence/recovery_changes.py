"""What a transaction changes of recoveries, for those who plan their steps, write the log and count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from msgspec import Struct

if TYPE_CHECKING:
    from daemon.model import Recovery
    from daemon.persistence.sweeping import Cancelled


class Lane(NamedTuple):
    """A recovery and one of its webhooks, by seq; webhook 0: its webhooks are being found."""

    recovery: int
    webhook: int


class Turn(Struct, frozen=True):
    """A step that was taken. The next one is due `now`; `later`, when somebody else's backlog may have become shorter;
    once the lane is `woken`, because deliveries of it end or its webhook or tenant changes; or it is `over`."""

    lane: Lane
    next: Literal["now", "later", "woken", "over"]


class RecoveryChanges:
    """`opened`: lanes that are new, and the seqs of the tenants whose webhooks they are for (None: all tenants');
    `woken`: lanes, and `woken_tenants` tenants, for which there is something to do again; `started` and `ended`: jobs;
    `withdrawn`: what waited and is cancelled; `looked_through`: up to which those long ended have been forgotten."""

    __slots__ = ("ended", "looked_through", "opened", "started", "turns", "withdrawn", "woken", "woken_tenants")

    def __init__(self) -> None:
        self.opened: dict[Lane, int | None] = {}
        self.turns: list[Turn] = []
        self.woken: list[Lane] = []
        self.woken_tenants: list[int] = []
        self.started: list[Recovery] = []
        self.ended: list[Recovery] = []
        self.withdrawn: list[Cancelled] = []
        self.looked_through: int | None = None
