"""What a transaction changes of recoveries, for those who plan their steps, write the log and count."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from daemon.model import Recovery
    from daemon.persistence.sweeping import Cancelled


class Turn(Struct, frozen=True):
    """A step that was taken. `busy`: it has changed something; `over`: there is nothing left to do."""

    recovery: int
    webhook: int
    busy: bool = True
    over: bool = False


class RecoveryChanges:
    """`opened`: lanes (recovery, webhook; 0 for finding webhooks) that are new; `started` and `ended`: jobs;
    `withdrawn`: what waited and is cancelled."""

    __slots__ = ("ended", "opened", "started", "turns", "withdrawn")

    def __init__(self) -> None:
        self.opened: list[tuple[int, int]] = []
        self.turns: list[Turn] = []
        self.started: list[Recovery] = []
        self.ended: list[Recovery] = []
        self.withdrawn: list[Cancelled] = []
