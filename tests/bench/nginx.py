"""The receiver: nginx on loopback, one worker, which answers 200 to everything and logs each `webhook-id`."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import trio
from harness.hostile import unused_port
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_START_WITHIN = 10.0
_FLUSHED_AFTER = 0.3
_MISSING = "The benchmark's receiver is nginx, which is not installed. As root: apt-get install nginx-light"
_CONFIGURATION = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_rlimit_nofile 16384;
events {{ worker_connections 8192; multi_accept on; }}
http {{
    log_format arrivals '$msec $uri $http_webhook_id';
    access_log {folder}/arrivals.log arrivals buffer=64k flush=50ms;
    keepalive_requests 100000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ return 200 "OK"; }}
    }}
}}
"""


class ReceiverMissing(Exception):
    """nginx is not there and cannot be installed from here; the message says what to do."""


def find() -> str:
    """nginx's executable; installs Debian's package when root and missing. Raises `ReceiverMissing`."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin"))
    found = shutil.which("nginx", path=path)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        for command in (["update"], ["install", "--yes", "--no-install-recommends", "nginx-light"]):
            subprocess.run(["apt-get", "--quiet", *command], check=False, stdout=subprocess.DEVNULL)
        found = shutil.which("nginx", path=path)
    if found is None:
        raise ReceiverMissing(_MISSING)
    return found


class Nginx:
    """`worker` is the process that answers; `arrivals` is what it has logged."""

    def __init__(self, port: int, worker: int, arrivals: Arrivals) -> None:
        self.port = port
        self.worker = worker
        self.arrivals = arrivals

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Arrivals:
    """The access log as it grows; `mark` leaves out what is in it so far."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")

    def mark(self) -> None:
        self._file.seek(0, os.SEEK_END)

    async def since_mark(self) -> list[tuple[float, str, str]]:
        """(Unix seconds to the millisecond, path, webhook-id) of each request that was answered since the mark."""
        await trio.sleep(_FLUSHED_AFTER)
        return [(float(at), path, event) for at, path, event in map(str.split, self._file.read().decode().splitlines())]


@asynccontextmanager
async def running(executable: str, folder: Path) -> AsyncIterator[Nginx]:
    """nginx until the end of the block. Raises AssertionError when it does not start."""
    port = unused_port()
    configuration = _configure(folder, port)
    process = await trio.lowlevel.open_process([executable, "-c", str(configuration)])
    try:
        worker = await eventually(partial(_worker, process.pid, port), "nginx answers", within=_START_WITHIN)
        yield Nginx(port, worker, Arrivals(folder / "arrivals.log"))
    finally:
        process.terminate()
        with trio.CancelScope(shield=True):
            await process.wait()


def _configure(folder: Path, port: int) -> Path:
    folder.mkdir()
    configuration = folder / "nginx.conf"
    configuration.write_text(_CONFIGURATION.format(folder=folder, port=port))
    return configuration


async def _worker(master: int, port: int) -> int:
    """The process that answers, or 0 while there is none."""
    try:
        (await trio.open_tcp_stream("127.0.0.1", port)).socket.close()
        children = await trio.Path(f"/proc/{master}/task/{master}/children").read_text()
    except OSError:
        return 0
    return int((children.split() or ["0"])[0])
