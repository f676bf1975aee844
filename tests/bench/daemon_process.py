"""The real daemon as a process, its log in a file: nobody reads along, as under systemd."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio
from harness.api import Api
from harness.configuration import configuration, toml
from harness.daemon_process import COMMAND, environment
from harness.waiting import eventually

from tests.bench import sampled_daemon
from tests.bench.processes import CORES, cpu_seconds, peak_megabytes, pin, resident_megabytes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from harness.configuration import Value

    Changes = Mapping[str, Mapping[str, Value]]

_READY_WITHIN = 60.0
_STOP_WITHIN = 40.0


class Daemon:
    """`start_seconds`: from the start of the process until it said that it is ready."""

    def __init__(self, pid: int, database: Path, bind: str, start_seconds: float) -> None:
        self.pid = pid
        self.database = database
        host, _, port = bind.rpartition(":")
        self.host, self.port = host, int(port)
        self.start_seconds = start_seconds
        self.callers: list[Api] = []

    def caller(self, token: str) -> Api:
        self.callers.append(Api(f"http://{self.host}:{self.port}", token))
        return self.callers[-1]

    @property
    def operator_token(self) -> str:
        return (self.database.parent / "operator.token").read_text().strip()

    async def token(self, tenant: str, *, create: bool = True) -> str:
        """A token of a tenant, which is made first unless it is there already."""
        operator = self.caller(self.operator_token)
        if create:
            return await operator.create_tenant(tenant)
        wanted = {"name": "bench", "permissions": ["manage_webhooks", "publish_events"]}
        return (await operator.ask("POST", f"/v1/tenants/{tenant}/tokens", wanted))["token"]

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.pid)

    def megabytes(self) -> float:
        return resident_megabytes(self.pid)

    def peak_megabytes(self) -> float:
        """Since its start."""
        return peak_megabytes(self.pid)

    async def recorded(self, within: float) -> None:
        """Wait until no delivery waits or is under way, looking at the file itself."""
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)

        async def none_left() -> bool:
            return not connection.execute("SELECT 1 FROM deliveries WHERE finished IS NULL LIMIT 1").fetchone()

        try:
            await eventually(none_left, "every delivery finished", within=within)
        finally:
            connection.close()


@asynccontextmanager
async def daemon(
    database: Path,
    changes: Changes | None = None,
    *,
    cores: list[int] = CORES,
    samples: Path | None = None,
) -> AsyncIterator[Daemon]:
    """A daemon that is ready, until the end of the block. `samples`: run it under the sampler, which writes there.

    Raises AssertionError when it does not become ready."""
    database.parent.mkdir(parents=True, exist_ok=True)
    config, log = database.with_suffix(".toml"), database.with_suffix(".log")
    config.write_text(toml(configuration(database, changes or {})))
    command = COMMAND if samples is None else [sys.executable, sampled_daemon.__file__, str(samples)]
    started = time.perf_counter()
    with log.open("wb") as output:
        process = await trio.lowlevel.open_process(
            [*command, "serve", "--config", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment(),
        )
    running: Daemon | None = None
    try:
        bind = await _ready(process, log)
        running = Daemon(process.pid, database, bind, time.perf_counter() - started)
        pin(process.pid, cores)
        yield running
    finally:
        process.terminate()
        with trio.CancelScope(shield=True):
            with trio.move_on_after(_STOP_WITHIN if samples else 1.0):
                await process.wait()
            process.kill()
            await process.wait()
            for caller in running.callers if running else ():
                await caller.aclose()


async def _ready(process: trio.Process, log: Path) -> str:
    """The address it is bound to. Raises AssertionError when the daemon has ended, or takes too long."""

    async def ready() -> str:
        text = _text(log)
        assert process.poll() is None, f"the daemon ended: {text[-2000:]}"
        return _address(text)

    return await eventually(ready, "the daemon is ready", within=_READY_WITHIN)


def _text(log: Path) -> str:
    return log.read_text()


def _address(text: str) -> str:
    whole, _, _ = text.rpartition("\n")
    for line in whole.splitlines():
        if '"daemon.ready"' in line:
            return json.loads(line)["bind"][0]
    return ""
