"""Control groups of its own for each machine: a systemd takes those it is started in for the whole tree, so that two
machines in the same ones would stop, kill and count each other's processes."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

# systemd's own hierarchy of version 1, and version 2 (cgroups(7)); in a hybrid set-up there are both.
_SYSTEMD_S = ("name=systemd", "")


@contextmanager
def made(name: str) -> Generator[list[Path]]:
    """Of that name, below this process's own; gone at the end, when they have to be empty."""
    folders = [ours / name for ours in _own()]
    for folder in folders:
        folder.mkdir(exist_ok=True)
    try:
        yield folders
    finally:
        for folder in folders:
            for below in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
                below.rmdir()
            folder.rmdir()


def entering(folders: list[Path], *command: str) -> list[str]:
    """The command that runs `command` in them."""
    script = 'while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs" || exit; shift; done; shift; exec "$@"'
    return ["sh", "-c", script, "sh", *map(str, folders), "--", *command]


def _own() -> Iterator[Path]:
    mounted: dict[str, tuple[str, str]] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        root, point = before.split(" ")[3:5]
        if kind == "cgroup2":
            mounted[""] = root, point
        elif kind == "cgroup" and "name=systemd" in options.split(","):
            mounted["name=systemd"] = root, point
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers in _SYSTEMD_S and controllers in mounted:
            root, point = mounted[controllers]
            yield Path(point, PurePosixPath(path).relative_to(root))
