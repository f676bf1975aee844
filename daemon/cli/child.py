"""The real daemon as a child process: started, watched through its log, stopped."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import msgspec
import trio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from pathlib import Path

READY_SECONDS = 30.0
STOP_SECONDS = 30.0

_LOG_LINES = 2_000


class ChildFailed(Exception):
    """The daemon did not do what it was asked; the message is a sentence."""


class Child:
    """`log` is its newest lines; `url` where it serves, once it is ready."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._ready = trio.Event()
        self._silent = trio.Event()
        self._bind: list[str] = []
        self.log: deque[str] = deque(maxlen=_LOG_LINES)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def url(self) -> str:
        return f"http://{self._bind[0]}"

    async def ready(self) -> None:
        """Returns when the daemon serves. Raises `ChildFailed` when it ends instead, or takes longer than 30 s."""
        with trio.move_on_after(READY_SECONDS):
            await self._ready.wait()
        if self._silent.is_set() and not self._bind:
            raise ChildFailed(f"The daemon ended with exit code {await self._process.wait()} before it was ready.")
        if not self._bind:
            raise ChildFailed(f"The daemon was not ready after {READY_SECONDS:g} s.")

    async def stop(self) -> int:
        """SIGTERM, then its exit code, once its last line is read. Raises `ChildFailed` when that takes over 30 s."""
        self._process.terminate()
        with trio.move_on_after(STOP_SECONDS):
            await self._silent.wait()
            return await self._process.wait()
        raise ChildFailed(f"The daemon was still running {STOP_SECONDS:g} s after SIGTERM.")

    async def read_log(self) -> None:
        """Reads the daemon's output to its end."""
        assert self._process.stdout is not None
        rest = b""
        async for chunk in self._process.stdout:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._heed(line)
        if rest:
            self._heed(rest)
        self._silent.set()
        self._ready.set()

    def _heed(self, line: bytes) -> None:
        self.log.append(line.decode("utf-8", "replace"))
        bind = bound(line)
        if bind and not self._bind:
            self._bind = bind
            self._ready.set()


@asynccontextmanager
async def child(config: Path, environ: Mapping[str, str]) -> AsyncGenerator[Child]:
    """`serve --config` on this interpreter, in the configuration's folder. Killed at the end if it still runs then."""
    process = await trio.lowlevel.open_process(
        # -P: a folder named `daemon` where the person happens to be must not be taken for the program.
        [sys.executable, "-P", "-m", "daemon.cli", "serve", "--config", os.fspath(config)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=undisturbed(environ),
        cwd=config.parent,
    )
    try:
        async with trio.open_nursery() as nursery:
            running = Child(process)
            nursery.start_soon(running.read_log)
            yield running
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()
            await process.wait()
            if process.stdout is not None:
                await process.stdout.aclose()


def undisturbed(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` without what would set up another daemon: settings of a real one, sockets and notices of a service."""
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith(("TENANT_WEBHOOKS_", "LISTEN_")) and name not in ("NOTIFY_SOCKET", "WATCHDOG_USEC")
    }


def bound(line: bytes) -> list[str]:
    """The addresses in a `daemon.ready` line of the JSON log; nothing for any other line."""
    if b"daemon.ready" not in line:
        return []
    try:
        fields = msgspec.json.decode(line, type=dict[str, object])
    except msgspec.MsgspecError:
        return []
    bind = fields.get("bind")
    if fields.get("event") != "daemon.ready" or not isinstance(bind, list):
        return []
    return [address for address in cast("list[object]", bind) if isinstance(address, str)]
