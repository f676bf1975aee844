"""A reload reads, which may take long, where nobody waits for it; what was read holds from one moment on."""

from __future__ import annotations

import threading

from daemon.reloading import Reload
from daemon.settings import Limits, Settings, SettingsError


async def test_the_configuration_is_read_in_a_thread_of_its_own_and_applied_in_the_loops() -> None:
    wanted, applied, threads = Settings(limits=Limits(batch_events=2)), [], []

    def read() -> Settings:
        threads.append(threading.get_ident())
        return wanted

    async def apply(settings: Settings) -> None:
        threads.append(threading.get_ident())
        applied.append(settings)

    await Reload(Settings(), read, apply)()
    assert applied == [wanted]
    reading, applying = threads
    assert reading != applying == threading.get_ident()


async def test_what_cannot_be_used_is_not_applied() -> None:
    def read() -> Settings:
        raise SettingsError(["limits.batch_events: no"])

    async def apply(settings: Settings) -> None:
        raise AssertionError(settings)

    await Reload(Settings(), read, apply)()
