"""The machine a figure was measured on, and how long its disk takes to be sure."""

from __future__ import annotations

import os
import platform
import sqlite3
import time
from pathlib import Path

import httptools
import trio

from daemon import __version__
from tests.bench.processes import CORES

_BLOCK = b"x" * 4096


def fdatasync_milliseconds(folder: Path, times: int, rate: float) -> list[float]:
    """How long each of so many appended and synced blocks of 4 KiB took, at most `rate` of them a second."""
    path = folder / "fdatasync"
    took: list[float] = []
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        began = time.perf_counter()
        for number in range(times):
            time.sleep(max(0.0, began + number / rate - time.perf_counter()))
            started = time.perf_counter()
            os.write(descriptor, _BLOCK)
            os.fdatasync(descriptor)
            took.append((time.perf_counter() - started) * 1e3)
    finally:
        os.close(descriptor)
        path.unlink()
    return took


def description(folder: Path) -> dict[str, str]:
    """What matters of this machine, by name."""
    return {
        "measured": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "daemon": __version__,
        "processor": f"{len(CORES)} cores, {_after('model name', Path('/proc/cpuinfo'))}",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.1f} GB",
        "kernel": platform.release(),
        "file system": _file_system(folder),
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "Trio": trio.__version__,
        "httptools": httptools.__version__,
        "load average before": f"{os.getloadavg()[0]:.2f}",
    }


def _after(name: str, path: Path) -> str:
    for line in path.read_text().splitlines():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return "unknown"


def _file_system(folder: Path) -> str:
    """The type of the file system that holds the folder."""
    resolved = folder.resolve()
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    holding = [mount for mount in mounts if resolved.is_relative_to(mount[1])]
    return max(holding, key=lambda mount: len(mount[1]))[2]
