"""The installed service, as an operator of the machine handles it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import trio
from harness.api import Api
from harness.waiting import eventually
from machine import SOURCES, WHEELS

if TYPE_CHECKING:
    from pathlib import Path

    from machine import Machine

NAME = "tenant-webhooks.service"
SOCKET = "tenant-webhooks.socket"
URL = "http://127.0.0.1:8080"
CONFIG = "/etc/tenant-webhooks/tenant-webhooks.toml"
TOKEN = "/etc/tenant-webhooks/operator.token"
DATABASE = "/var/lib/private/tenant-webhooks/tenant-webhooks.db"
DROP_IN = f"/run/systemd/system/{NAME}.d/test.conf"
# Receivers are on the machine's loopback network.
SETTINGS = f"""\
[auth]
operator_token_file = "{TOKEN}"
[storage]
path = "/var/lib/tenant-webhooks/tenant-webhooks.db"
[egress]
allow = ["127.0.0.0/8", "::1"]
"""


def install(machine: Machine) -> str:
    return machine.run("make", "-C", SOURCES, "install", f"WHEELS={WHEELS}")


class Service:
    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.changed = False
        self._callers: list[Api] = []

    @property
    def database(self) -> Path:
        """Seen from here: the same files, so that SQLite's locks hold on both sides."""
        return self.machine.path(DATABASE)

    def systemctl(self, *arguments: str, ok: bool = True) -> str:
        done = self.machine.attempt("systemctl", *arguments)
        if ok and done.returncode != 0:
            last = self.machine.run("journalctl", "--no-pager", "--lines=30", "--output=cat")
            raise AssertionError(f"systemctl {' '.join(arguments)}: {done.stdout}\n{last}")
        return done.stdout

    def start(self) -> None:
        self.systemctl("start", NAME)

    def stop(self) -> None:
        """The socket too: a client that still comes starts nothing."""
        self.systemctl("stop", SOCKET, NAME)

    def restart(self) -> None:
        self.systemctl("restart", NAME)

    def shown(self, name: str, unit: str = NAME) -> str:
        return self.systemctl("show", "--value", f"--property={name}", unit).strip()

    @property
    def main_pid(self) -> int:
        return int(self.shown("MainPID"))

    def configure(self, more: str = "") -> None:
        """SETTINGS and `more`, for the next start or reload."""
        self.changed = True
        self.machine.path(CONFIG).write_text(SETTINGS + more)

    def drop_in(self, text: str) -> None:
        """Lines for [Service], for the next start; an empty text takes them away."""
        self.changed = True
        # /run is a file system of the machine's own, which only its own processes see.
        script = 'mkdir -p "${0%/*}" && printf "[Service]\\n%s\\n" "$1" >"$0"' if text else 'rm -f "$0"'
        self.machine.run("sh", "-c", script, DROP_IN, text)
        self.systemctl("daemon-reload")

    def token(self) -> str:
        return self.machine.path(TOKEN).read_text().strip()

    def caller(self, token: str | None) -> Api:
        """The API with this token, over the machine's network; closed with the test."""
        self._callers.append(Api(URL, token))
        return self._callers[-1]

    async def tenant(self, name: str) -> Api:
        return self.caller(await self.caller(self.token()).create_tenant(name))

    async def active_again(self, restarts: int, *, within: float) -> None:
        """Wait until systemd has started it by itself more often than that, and it is active."""

        async def active() -> bool:
            more = await trio.to_thread.run_sync(self.shown, "NRestarts")
            state = await trio.to_thread.run_sync(self.shown, "ActiveState")
            return int(more) > restarts and state == "active"

        await eventually(active, "restarted and active", within=within)

    def journal(self, *matches: str, last: int | None = None) -> list[dict[str, Any]]:
        """The service's entries with these fields, oldest first; only the `last` so many."""
        lines = "all" if last is None else str(last)
        command = ("journalctl", "--no-pager", "--output=json", f"--lines={lines}", f"--unit={NAME}", *matches)
        self.machine.run("journalctl", "--sync")
        return [json.loads(line) for line in self.machine.run(*command).splitlines() if line.startswith("{")]

    async def aclose(self) -> None:
        for caller in self._callers:
            await caller.aclose()
