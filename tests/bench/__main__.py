"""Run every scenario; print one table, write one file of figures and, after a whole run, the table in README.md."""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import trio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tests.bench import machine, nginx, report
from tests.bench.bench import Bench
from tests.bench.scenarios import arrival, growth, isolation, memory, publishing, throughput
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
}


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("scenarios", nargs="*", choices=[[], *SCENARIOS], help="only these (default: all)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, for changes to the benchmark itself")
    parser.add_argument("--full", action="store_true", help="also 10 million rows (12 GB of disk, 10 minutes more)")
    parser.add_argument("--folder", type=Path, help="where databases go: the disk to measure (default: temporary)")
    parser.add_argument("--json", type=Path, default=HERE / "figures.json", help="where the figures go")
    return parser.parse_args()


async def measure(chosen: argparse.Namespace, executable: str, folder: Path, progress: Progress) -> list[Figure]:
    names = chosen.scenarios or list(SCENARIOS)
    task = progress.add_task("starting", total=len(names))
    figures: list[Figure] = []
    async with nginx.running(executable, folder / "nginx") as receiver:
        bench = Bench(
            receiver,
            folder,
            lambda text: progress.update(task, description=text),
            quick=chosen.quick,
            full=chosen.full,
        )
        for name in names:
            figures += await SCENARIOS[name](bench)
            progress.advance(task)
    return figures


def main() -> int:
    """The exit code: 0 measured, whatever the verdicts; 1 when the receiver is missing."""
    chosen = options()
    console = Console()
    try:
        receiver = nginx.find()
    except nginx.ReceiverMissing as missing:
        console.print(str(missing))
        return 1
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
            figures = trio.run(measure, chosen, receiver, Path(name), progress)
    described["took"] = f"{(time.monotonic() - started) / 60:.1f} minutes"
    console.print(terminal(figures))
    report.write_json(chosen.json, described, figures)
    if not (chosen.quick or chosen.scenarios):
        report.write_readme(HERE / "README.md", described, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
