"""Whether the database is whole, and of a version that this program knows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from daemon.cli.checks.finding import Finding, failed, ok, warning
from daemon.persistence.examination import Damaged, Unfinished, examine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.settings import Settings

CHECK = "database"
_SECONDS = 20.0


def database(settings: Settings, running: int | None) -> Iterator[Finding]:
    path = Path(settings.storage.path)
    try:
        if not path.exists() or not path.stat().st_size:
            if running is not None:
                says = f"{path} is missing or empty, but the daemon runs on it (process {running})."
                yield failed(CHECK, says, "Unless it is just being started, stop it and put a backup in its place.")
                return
            yield ok(CHECK, f"There is none yet: the first start makes {path}.")
            return
        examine(path, _SECONDS)
    except OSError as error:
        yield failed(CHECK, f"{path} cannot be looked at: {error.strerror}.", "See “database folder”.")
    except Unfinished:
        says = f"{path} is sound as far as {_SECONDS:g} s reach; the rest was not looked at."
        yield warning(CHECK, says, "Make a backup at a quiet time: it checks all of its copy (tenant-webhooks backup).")
    except Damaged as damaged:
        yield failed(CHECK, f"{path} cannot be relied on.", str(damaged))
    else:
        yield ok(CHECK, f"{path} is sound (quick_check).")
