"""The daemon's output, line by line, as it comes: what a test waits on instead of sleeping."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import trio

if TYPE_CHECKING:
    from collections.abc import Callable

Line = dict[str, Any]


class LogLines:
    """Parsed JSON lines in `lines`, everything else (a traceback, a message of the command line) in `text`."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.text: list[str] = []
        self.ended = False
        self._changed = trio.Event()

    async def follow(self, stream: trio.abc.ReceiveStream) -> None:
        """Read until the process closes its output. Cancelled: the stream is closed, the lines so far stay."""
        rest = b""
        async with stream:
            async for chunk in stream:
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    self._add(line.decode())
                self._notify()
        if rest:
            self._add(rest.decode())
        self.ended = True
        self._notify()

    def _add(self, text: str) -> None:
        try:
            line = json.loads(text)
        except ValueError:
            line = None
        if isinstance(line, dict) and "event" in line:
            self.lines.append(line)
        else:
            self.text.append(text)

    def _notify(self) -> None:
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    def of(self, event: str, **fields: object) -> list[Line]:
        """The lines so far with that name and these fields."""
        return [line for line in self.lines if line["event"] == event and fields.items() <= line.items()]

    async def wait(self, event: str, *, within: float = 10, **fields: object) -> Line:
        """The first line with that name and these fields; AssertionError if the output ends or time runs out first."""
        return (await self._until(lambda: self.of(event, **fields), f"{event} {fields or ''}", within))[0]

    async def count(self, event: str, number: int, *, within: float = 10, **fields: object) -> list[Line]:
        """All lines with that name and these fields once there are at least `number`."""

        def enough() -> list[Line]:
            found = self.of(event, **fields)
            return found if len(found) >= number else []

        return await self._until(enough, f"{number} of {event} {fields or ''}", within)

    async def end(self, *, within: float) -> None:
        """Wait until the output has been read to its end."""
        await self._until(lambda: [{}] if self.ended else [], "end of output", within, may_end=True)

    async def _until(
        self, found: Callable[[], list[Line]], what: str, within: float, *, may_end: bool = False
    ) -> list[Line]:
        with trio.move_on_after(within):
            while not (lines := found()):
                if self.ended and not may_end:
                    break
                await self._changed.wait()
            if lines:
                return lines
        raise AssertionError(
            f"no line {what.strip()} {'before the output ended' if self.ended else f'within {within} s'}\n{self.tail()}"
        )

    def tail(self, number: int = 30) -> str:
        """The last lines of the output, for a failure's message."""
        return "\n".join(["--- daemon's output", *map(json.dumps, self.lines[-number:]), *self.text[-number:]])
