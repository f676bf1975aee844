"""All event types of a daemon: the one place that knows which there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.event_types.compiling import compiled
from daemon.event_types.kinds import PING, Description, EventType, SessionCompleted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.settings import EventTypeSettings

_NAMED = 10

BUILT_IN = SessionCompleted()


class Catalogue:
    """The built-in types and those of the settings, which `load` has checked. Looking up costs a dictionary's look."""

    def __init__(self, configured: Mapping[str, EventTypeSettings]) -> None:
        self._configured = dict(configured)
        own = [compiled(name, its) for name, its in sorted(configured.items())]
        types: tuple[EventType, ...] = (BUILT_IN, *own)
        self._types = {one.description.name: one for one in types}

    def of(self, configured: Mapping[str, EventTypeSettings]) -> Catalogue:
        """This one, if it was made of equal settings, else another, which blocks for milliseconds a type."""
        return self if configured == self._configured else Catalogue(configured)

    def get(self, name: str) -> EventType | None:
        """The type with this name that may be published and subscribed to."""
        return self._types.get(name)

    def known(self) -> str:
        """The names that there are, for a sentence; of very many only some."""
        first = ", ".join([*self._types][:_NAMED])
        more = len(self._types) - _NAMED
        return first if more <= 0 else f"{first} and {more} more (GET /v1/event-types)"

    def descriptions(self) -> list[Description]:
        """Of every type, those that nobody subscribes to (`webhook.ping`) last."""
        return [*(one.description for one in self._types.values()), PING]

    def description(self, name: str) -> Description | None:
        return next((one for one in self.descriptions() if one.name == name), None)
