"""How many deliveries a second the real daemon makes to one fast local receiver, and what CPU time each costs it.

Run: `python tests/bench/throughput.py [--events 20000] [--batch 100] [--publishers 4] [--webhooks 1] [--mode both]`.
The daemon runs as shipped: a real file with fsync, one log line and one signature for each delivery. `pinned` gives it
one core and leaves the others to publisher and receiver; `unpinned` leaves all to the scheduler.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import trio

sys.path.insert(0, str(Path(__file__).parents[1] / "system"))

from harness.daemon_process import Daemon
from harness.events import session_event
from harness.foreign import COUNTING_RECEIVER, process_with_port
from harness.waiting import eventually

if TYPE_CHECKING:
    from harness.api import Api

CORES = sorted(os.sched_getaffinity(0))
TICKS = os.sysconf("SC_CLK_TCK")


def pin(pid: int, cores: list[int]) -> None:
    """Keep a process on these cores: its threads, and so those that they start."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), cores)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def publish(caller: Api, batches: list[list[dict[str, object]]]) -> None:
    while batches:
        await caller.publish(*batches.pop())


async def measure(options: argparse.Namespace, mode: str, folder: Path) -> str:
    daemon_cores, other_cores = (CORES[:1], CORES[1:] or CORES) if mode == "pinned" else (CORES, CORES)
    batches = [[session_event(f"s-{n}") for n in range(options.batch)] for _ in range(options.events // options.batch)]
    total = len(batches) * options.batch * options.webhooks
    async with trio.open_nursery() as nursery:
        daemon = await Daemon.start(nursery, folder / "webhooks.db")
        async with (
            process_with_port(sys.executable, COUNTING_RECEIVER) as (receiver, port),
            httpx.AsyncClient(trust_env=False) as count,
        ):
            pin(daemon.process.pid, daemon_cores)
            pin(receiver.pid, other_cores)
            pin(os.getpid(), other_cores)
            caller = await daemon.tenant()
            for hook in range(options.webhooks):
                await caller.register(f"http://127.0.0.1:{port}/{hook}")

            async def all_arrived() -> bool:
                return int((await count.get(f"http://127.0.0.1:{port}/count")).text) >= total

            started, cpu = time.perf_counter(), cpu_seconds(daemon.process.pid)
            async with trio.open_nursery() as publishers:
                for _ in range(options.publishers):
                    publishers.start_soon(publish, caller, batches)
            published = time.perf_counter() - started
            await eventually(all_arrived, f"{total} arrivals", within=600)
            arrived = time.perf_counter() - started
            await caller.settled(within=60)
            recorded = time.perf_counter() - started
            cpu = cpu_seconds(daemon.process.pid) - cpu
            failed = await caller.ask("GET", "/v1/deliveries", status="failed", limit=1)
            assert not failed["data"], failed
        await daemon.aclose()
        nursery.cancel_scope.cancel()
    return (
        f"{mode:9} {total / arrived:8.0f} deliveries/s   {cpu / total * 1e6:6.0f} µs CPU each   "
        f"(published in {published:.2f} s, arrived in {arrived:.2f} s, recorded in {recorded:.2f} s)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--publishers", type=int, default=4)
    parser.add_argument("--webhooks", type=int, default=1)
    parser.add_argument("--mode", choices=["pinned", "unpinned", "both"], default="both")
    parser.add_argument("--folder", type=Path, help="where the database goes (default: a temporary folder)")
    options = parser.parse_args()
    for mode in ["pinned", "unpinned"] if options.mode == "both" else [options.mode]:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            print(trio.run(measure, options, mode, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
