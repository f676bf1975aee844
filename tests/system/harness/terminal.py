"""A command on a terminal of its own, as a person sees it."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Self

import trio

from harness.daemon_process import COMMAND, environment

if TYPE_CHECKING:
    from collections.abc import Mapping


class Terminal:
    """`shown`: every byte that the command has written so far."""

    def __init__(self, process: trio.Process, descriptor: int) -> None:
        self.process = process
        self.shown = b""
        self._descriptor = descriptor

    @classmethod
    async def start(cls, *arguments: str, env: Mapping[str, str]) -> Self:
        ours, its = os.openpty()
        process = await trio.lowlevel.open_process(
            [*COMMAND, *arguments],
            stdin=its,
            stdout=its,
            stderr=subprocess.STDOUT,
            env=environment({"TERM": "xterm", "COLUMNS": "120", "LINES": "40", **env}),
        )
        os.close(its)
        os.set_blocking(ours, False)
        return cls(process, ours)

    async def until(self, text: str, *, within: float = 20) -> None:
        """Read on until the command writes this, from now on."""
        seen = len(self.shown)
        with trio.move_on_after(within):
            while text.encode() not in self.shown[seen:]:
                await trio.lowlevel.wait_readable(self._descriptor)
                self.shown += os.read(self._descriptor, 65536)
            return
        raise AssertionError(f"not within {within} s: {text!r} in {self.shown[seen:]!r}")

    async def exit_code(self, *, within: float = 10) -> int:
        with trio.fail_after(within):
            return await self.process.wait()

    async def aclose(self) -> None:
        self.process.kill()
        with trio.CancelScope(shield=True):
            await self.process.wait()
        os.close(self._descriptor)
