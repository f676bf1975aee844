"""Starts daemons and receivers for one test, in the test's own nursery."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.daemon_process import COMMAND, Daemon
from harness.receiver import Receiver, answers

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import trio

    from harness.configuration import Value
    from harness.receiver import Behaviour


class Daemons:
    """Starts daemons for one test; a name is a database, so that the same name again is a restart."""

    def __init__(self, nursery: trio.Nursery, folder: Path) -> None:
        self._nursery = nursery
        self._folder = folder
        self._started: list[Daemon] = []

    def database(self, name: str = "main") -> Path:
        return self._folder / name / "webhooks.db"

    async def start(
        self,
        changes: Mapping[str, Mapping[str, Value]] | None = None,
        *,
        name: str = "main",
        env: Mapping[str, str] | None = None,
        command: Sequence[str] = COMMAND,
    ) -> Daemon:
        """A daemon that is ready."""
        return self._keep(await Daemon.start(self._nursery, self._place(name), changes, env, command))

    async def launch(
        self,
        changes: Mapping[str, Mapping[str, Value]] | None = None,
        *,
        name: str = "main",
        env: Mapping[str, str] | None = None,
        command: Sequence[str] = COMMAND,
    ) -> Daemon:
        """A daemon that may never become ready."""
        return self._keep(await Daemon.launch(self._nursery, self._place(name), changes, env, command))

    async def aclose(self) -> None:
        for daemon in self._started:
            await daemon.aclose()

    def _place(self, name: str) -> Path:
        database = self.database(name)
        database.parent.mkdir(exist_ok=True)
        return database

    def _keep(self, daemon: Daemon) -> Daemon:
        self._started.append(daemon)
        return daemon


class Receivers:
    """Starts receivers for one test."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery

    async def start(self, behaviour: Behaviour | None = None, *, tls: ssl.SSLContext | None = None) -> Receiver:
        """A receiver that behaves so; without a behaviour it answers 200 and keeps its connections."""
        return await Receiver.start(self._nursery, behaviour or answers(), tls)
