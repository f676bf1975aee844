"""Whether the daemon is in a state to accept work: started, and not stopping."""

from __future__ import annotations

from typing import Literal

Part = Literal["starting", "draining"]


class Readiness:
    """The parts that are not ready, each with a sentence for the operator. Ready when there are none."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}

    def set(self, part: Part, why: str) -> None:
        """`part` is not ready; a later reason replaces the earlier one."""
        self._reasons[part] = why

    def clear(self, part: Part) -> None:
        """`part` is ready, whether or not it was before."""
        self._reasons.pop(part, None)

    def reasons(self) -> dict[str, str]:
        """A copy: what is not ready, in the order in which it ceased to be."""
        return dict(self._reasons)
