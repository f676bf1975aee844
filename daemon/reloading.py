"""What a reload changes: the settings that can change, all of them or, when the configuration cannot be used, none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio
from msgspec import structs

from daemon.operations.logs import get_logger
from daemon.settings import SettingsError, keys

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.settings import Settings

SECTIONS: Final = ("egress", "limits", "logging", "events")
"""What can change while the daemon runs; everything else needs a restart."""

log = get_logger()


class Reload:
    """`read` gives the settings as they are to be, and may raise SettingsError; `apply` puts them into force."""

    def __init__(
        self, current: Settings, read: Callable[[], Settings], apply: Callable[[Settings], Awaitable[None]]
    ) -> None:
        self._current = current
        self._read = read
        self._apply = apply
        self._thread = trio.CapacityLimiter(1)

    async def __call__(self) -> None:
        """Reads, in a thread, applies and reports in the log. Cancelled, it has applied all or nothing."""
        try:
            wanted = await trio.to_thread.run_sync(self._read, limiter=self._thread)
        except SettingsError as error:
            log.error("daemon.reload_refused", problems=error.problems)
            return
        before, (self._current, left) = self._current, reloaded(self._current, wanted)
        await self._apply(self._current)
        log.info("daemon.reloaded", changed=changed(before, self._current), needs_restart=left)


def reloaded(current: Settings, wanted: Settings) -> tuple[Settings, list[str]]:
    """The settings in force from now on, and the keys that differ beside them: those need a restart."""
    in_force = structs.replace(current, **{section: getattr(wanted, section) for section in SECTIONS})
    return in_force, changed(in_force, wanted)


def changed(before: Settings, after: Settings) -> list[str]:
    """The keys, `section.key`, whose values differ."""
    return [
        f"{section}.{key}"
        for section in before.__struct_fields__
        for old, new in [(keys(getattr(before, section)), keys(getattr(after, section)))]
        for key in old | new
        if old.get(key) != new.get(key)
    ]
