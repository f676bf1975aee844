"""Which webhooks are known to answer promptly. Pure."""

from __future__ import annotations

from collections import OrderedDict

PROMPT = 1.0
"""Seconds in which an attempt at a prompt webhook ends."""

_KNOWN = 16_384


class Verdicts:
    """What the last attempts at webhooks showed. It outlives the tenants' actors; of more webhooks than it has room for
    those whose verdict is the oldest are forgotten, and count as never tried."""

    def __init__(self, room: int = _KNOWN) -> None:
        self._room = room
        self._prompt: OrderedDict[int, bool] = OrderedDict()

    def of(self, webhook: int) -> bool | None:
        """Whether the webhook is prompt; None if it was never tried."""
        return self._prompt.get(webhook)

    def note(self, webhook: int, prompt: bool) -> None:
        self._prompt[webhook] = prompt
        self._prompt.move_to_end(webhook)
        if len(self._prompt) > self._room:
            self._prompt.popitem(last=False)
