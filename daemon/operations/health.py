"""Whether the daemon is in a state to accept work: started, and not stopping."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Part = Literal["starting", "draining", "storage", "space"]


class Readiness:
    """The parts that are not ready, each with a sentence for the operator. Ready when there are none."""

    def __init__(self) -> None:
        self._reasons: dict[Part, str] = {}
        self._troubles: Callable[[], Mapping[Part, str]] = dict[Part, str]

    def watch(self, troubles: Callable[[], Mapping[Part, str]]) -> None:
        """Ask this, too, whenever somebody wants to know: of parts that nobody hears from when they change."""
        self._troubles = troubles

    def set(self, part: Part, why: str) -> None:
        """`part` is not ready; a later reason replaces the earlier one."""
        self._reasons[part] = why

    def clear(self, part: Part) -> None:
        """`part` is ready, whether or not it was before."""
        self._reasons.pop(part, None)

    def reasons(self) -> dict[str, str]:
        """What is not ready now, and why."""
        return {**self._reasons, **self._troubles()}

    @property
    def draining(self) -> bool:
        return "draining" in self._reasons
