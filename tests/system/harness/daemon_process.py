"""The real `tenant-webhooks serve` as a process of its own, on a port the system chose."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import trio

from harness.api import Api
from harness.configuration import configuration, toml
from harness.log_lines import LogLines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from harness.configuration import Value

START_WITHIN = 20
COMMAND = [sys.executable, "-m", "daemon.cli"]


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without settings for a daemon that may be about, then `changes`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TENANT_WEBHOOKS_")}
    return {**kept, **(changes or {})}


class Daemon:
    """A daemon that was started: its process, its output, the callers made for it."""

    def __init__(self, process: trio.Process, database: Path, log: LogLines) -> None:
        self.process = process
        self.database = database
        self.log = log
        self.bind: tuple[str, int] = ("", 0)
        self._callers: list[Api] = []

    @classmethod
    async def launch(
        cls,
        nursery: trio.Nursery,
        database: Path,
        changes: Mapping[str, Mapping[str, Value]] | None = None,
        env: Mapping[str, str] | None = None,
        command: Sequence[str] = COMMAND,
    ) -> Daemon:
        """Start `serve` and return at once; its output is read in `nursery`. `command` runs `tenant-webhooks`."""
        config = database.with_suffix(".toml")
        config.write_text(toml(configuration(database, changes or {})))
        process = await trio.lowlevel.open_process(
            [*command, "serve", "--config", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=str(database.parent),
            env=environment(env),
        )
        log = LogLines()
        assert process.stdout is not None
        nursery.start_soon(log.follow, process.stdout)
        return cls(process, database, log)

    @classmethod
    async def start(
        cls,
        nursery: trio.Nursery,
        database: Path,
        changes: Mapping[str, Mapping[str, Value]] | None = None,
        env: Mapping[str, str] | None = None,
        command: Sequence[str] = COMMAND,
    ) -> Daemon:
        """Start `serve` and wait until it says that it is ready. Cancelled meanwhile: the process is killed."""
        daemon = await cls.launch(nursery, database, changes, env, command)
        try:
            ready = await daemon.log.wait("daemon.ready", within=START_WITHIN)
        except BaseException:
            await daemon.aclose()
            raise
        host, _, port = ready["bind"][0].rpartition(":")
        daemon.bind = (host, int(port))
        return daemon

    @property
    def base_url(self) -> str:
        return f"http://{self.bind[0]}:{self.bind[1]}"

    @property
    def operator_token(self) -> str:
        return (self.database.parent / "operator.token").read_text().strip()

    def caller(self, token: str | None) -> Api:
        """The API with this token (None: without one); closed with the daemon."""
        self._callers.append(Api(self.base_url, token))
        return self._callers[-1]

    def operator(self) -> Api:
        return self.caller(self.operator_token)

    async def tenant(self, name: str = "acme") -> Api:
        """A new tenant, and the API with a token of it that may do everything a tenant may."""
        return self.caller(await self.operator().create_tenant(name))

    def kill(self) -> None:
        """SIGKILL: what a power cut looks like to the process."""
        self.process.kill()

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    async def exit_code(self, *, within: float = 10) -> int:
        """Wait until the process has ended and its output is read; AssertionError after `within` seconds."""
        with trio.move_on_after(within):
            code = await self.process.wait()
            await self.log.end(within=within)
            return code
        raise AssertionError(f"still running after {within} s\n{self.log.tail()}")

    async def aclose(self) -> None:
        """Close the callers and end the process. Cancelled: the process is killed all the same."""
        self.kill()
        with trio.CancelScope(shield=True):
            await self.process.wait()
            for caller in self._callers:
                await caller.aclose()


async def run_command(
    *arguments: str, within: float = 20, command: Sequence[str] = COMMAND
) -> subprocess.CompletedProcess[bytes]:
    """`tenant-webhooks ARGUMENTS` to its end; its exit code is not checked."""
    with trio.fail_after(within):
        return await trio.run_process(
            [*command, *arguments],
            check=False,
            capture_stdout=True,
            capture_stderr=True,
            env=environment(),
        )
