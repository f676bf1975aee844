"""What a demonstration prints: steps, the command a person would type, the answer, and what was checked of it."""

from __future__ import annotations

import shlex

from rich.console import Console
from rich.text import Text

from daemon.printable import printable

_SHOWN_OF_A_SECRET = 10


class DemoFailed(Exception):
    """Something did not hold; the message is a sentence."""


class Narrator:
    """Writes to stdout. `secrets` are cut short wherever they would appear."""

    def __init__(self) -> None:
        self.console = Console(highlight=False, emoji=False, markup=False, soft_wrap=True)
        self._secrets: list[str] = []
        self._step = 0

    def conceal(self, secret: str) -> str:
        self._secrets.append(secret)
        return secret

    def step(self, title: str) -> None:
        self._step += 1
        self.console.print()
        self._line(f"{self._step}. {title}", "bold")

    def command(self, line: str) -> None:
        self._line(f"   $ {line}", "cyan")

    def shown(self, *lines: str) -> None:
        for line in lines:
            self._line(f"   {line}", "")

    def holds(self, what: str, fact: bool, otherwise: str = "") -> None:
        """Raises `DemoFailed` unless `fact`; `otherwise` is what is the case instead."""
        if not fact:
            raise DemoFailed(self.concealed(f"{what}: this does not hold. {otherwise}".rstrip()))
        self._line(f"   ok: {what}", "green")

    def concealed(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, secret[:_SHOWN_OF_A_SECRET] + "…")
        return text

    def _line(self, text: str, style: str) -> None:
        self.console.print(Text(printable(self.concealed(text)), style=style))


def curl(method: str, url: str, token: str, content: bytes | None) -> str:
    """The command that does the same; `token` as it should appear within double quotes."""
    parts = ["curl", "-sS"]
    if method != ("GET" if content is None else "POST"):
        parts += ["-X", method]
    parts += [shlex.quote(url), "-H", f'"Authorization: Bearer {token}"']
    if content is not None:
        parts += ["-H", shlex.quote("Content-Type: application/json"), "-d", shlex.quote(content.decode())]
    return " ".join(parts)
