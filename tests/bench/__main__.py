"""Run every scenario; print one table, write one file of figures and, after a whole run, the table in README.md."""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import trio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tests.bench import completeness, machine, nginx, report
from tests.bench.bench import Bench
from tests.bench.scenarios import arrival, growth, isolation, memory, publishing, retention, throughput
from tests.bench.table import terminal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.bench.figures import Figure

HERE = Path(__file__).parent
SCENARIOS: dict[str, Callable[[Bench], Awaitable[list[Figure]]]] = {
    "throughput": throughput.measure,
    "arrival": arrival.measure,
    "publishing": publishing.measure,
    "isolation": isolation.measure,
    "memory": memory.measure,
    "growth": growth.measure,
    "retention": retention.measure,
}
LONG = {"retention"}
"""Left out of a whole run, which is to take a few minutes, unless it is a full one."""


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("scenarios", nargs="*", choices=[[], *SCENARIOS], help="only these (default: all)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, for changes to the benchmark itself")
    parser.add_argument(
        "--full", action="store_true", help="also 10 million rows (12 GB of disk, 2 minutes more) and retention"
    )
    parser.add_argument("--folder", type=Path, help="where databases go: the disk to measure (default: temporary)")
    parser.add_argument(
        "--json", type=Path, help="where the figures go (default: a whole run's to figures.json here, others nowhere)"
    )
    return parser.parse_args()


async def measure(
    chosen: argparse.Namespace, executable: str, folder: Path, progress: Progress
) -> tuple[list[Figure], dict[str, float]]:
    """The figures, and the seconds that each scenario took."""
    names = chosen.scenarios or [name for name in SCENARIOS if chosen.full or name not in LONG]
    task = progress.add_task("starting", total=len(names))
    figures: list[Figure] = []
    took: dict[str, float] = {}
    async with nginx.running(executable, folder / "nginx") as receiver:
        bench = Bench(
            receiver,
            folder,
            lambda text: progress.update(task, description=text),
            quick=chosen.quick,
            full=chosen.full,
        )
        for name in names:
            started = time.monotonic()
            figures += await SCENARIOS[name](bench)
            took[name] = time.monotonic() - started
            progress.advance(task)
    return [*figures, *completeness.figures(bench.tallies)], took


def main() -> int:
    """The exit code: 0 measured, whatever the verdicts; 1 when a delivery was missing or came twice, which is a promise
    broken and no figure; 2 when the receiver is missing."""
    chosen = options()
    console = Console()
    try:
        receiver = nginx.find()
    except nginx.ReceiverMissing as missing:
        console.print(str(missing))
        return 2
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    columns = (
        SpinnerColumn(),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=chosen.folder) as name:
        described = machine.description(Path(name))
        with Progress(*columns, console=console) as progress:
            figures, took = trio.run(measure, chosen, receiver, Path(name), progress)
    described["load average after"] = f"{os.getloadavg()[0]:.2f}"
    parts = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in took.items())
    described["took"] = f"{(time.monotonic() - started) / 60:.1f} minutes: {parts}"
    console.print(terminal(figures))
    whole = not (chosen.quick or chosen.scenarios)
    if chosen.json or whole:
        report.write_json(chosen.json or HERE / "figures.json", described, figures)
    if whole and not chosen.json:
        report.write_readme(HERE / "README.md", described, figures)
    return 1 if completeness.broken(figures) else 0


if __name__ == "__main__":
    sys.exit(main())
