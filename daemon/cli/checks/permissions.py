"""Who may read and write what the daemon keeps: every signing secret is in the database, and the operator's token may
do everything."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.cli.checks.finding import Finding, failed, ok, warning
from daemon.front_end.operator_token import OperatorToken, OperatorTokenError, operator_token_path
from daemon.persistence.lock import lock_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.settings import Settings

FOLDER, FILES, TOKEN = "database folder", "database files", "operator token"
_NAME_IT = (
    "If its environment names another file (systemctl cat tenant-webhooks), name it in auth.operator_token_file; if "
    "this one was deleted, a restart makes a new one."
)
_AS_THE_DAEMON = "Run this as the user that the daemon runs as, or give that user"


def permissions(settings: Settings, running: int | None) -> Iterator[Finding]:
    database = Path(settings.storage.path)
    yield _folder(database.absolute().parent)
    yield _files(database)
    yield _token(settings, running)


def _folder(folder: Path) -> Finding:
    try:
        mode = folder.stat().st_mode
    except FileNotFoundError:
        return failed(
            FOLDER, f"{folder} does not exist.", f"Make it for the daemon's user: install -d -m 0700 {folder}"
        )
    except OSError as error:
        return failed(FOLDER, f"{folder} cannot be looked at: {error.strerror}.", f"{_AS_THE_DAEMON} the way there.")
    if not stat.S_ISDIR(mode):
        return failed(FOLDER, f"{folder} is not a folder.", "Name a file in a folder in storage.path.")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return failed(FOLDER, f"This user may not write in {folder}.", f"{_AS_THE_DAEMON} the folder (chown).")
    return judge_folder(folder, mode)


def judge_folder(folder: Path, mode: int) -> Finding:
    """Whoever may write in a folder may put another file in the place of one there, unless it is sticky."""
    shown = f"{folder} (mode {stat.S_IMODE(mode):04o})"
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        return failed(FOLDER, f"Everybody may replace files in {shown}.", f"Run: chmod o-w {folder}")
    if mode & (stat.S_IWOTH | stat.S_IWGRP):
        return warning(FOLDER, f"Others may write in {shown}.", "Keep the database in a folder of its own, mode 0700.")
    return ok(FOLDER, f"{shown} can be written by its owner only.")


def _files(database: Path) -> Finding:
    real = Path(os.path.realpath(database))
    names = (real, *(real.with_name(real.name + end) for end in ("-wal", "-shm")), lock_of(database))
    findings: list[Finding] = []
    for name in names:
        try:
            findings.append(judge_file(name, name.stat().st_mode))
        except FileNotFoundError:
            continue
        except OSError as error:
            return failed(FILES, f"{name} cannot be looked at: {error.strerror}.", f"{_AS_THE_DAEMON} the way there.")
        if not os.access(name, os.R_OK | os.W_OK):
            return failed(FILES, f"This user may not read and write {name}.", f"{_AS_THE_DAEMON} the file (chown).")
    if not findings:
        return ok(FILES, "There are none yet: the first start makes them, closed to others.")
    worst = [finding for status in ("failed", "warning") for finding in findings if finding.status == status]
    return worst[0] if worst else ok(FILES, f"{real} and what is beside it are closed to others.")


def judge_file(name: Path, mode: int) -> Finding:
    if not stat.S_ISREG(mode):
        return failed(FILES, f"{name} is not a regular file.", "Move it away, or name another file in storage.path.")
    shown, close = f"{name} (mode {stat.S_IMODE(mode):04o})", f"Run: chmod 600 {name}"
    if mode & stat.S_IRWXO:
        return failed(FILES, f"Everybody may read or write {shown}, which holds secrets.", close)
    if mode & stat.S_IRWXG:
        return warning(FILES, f"Its group may read or write {shown}, which holds secrets.", close)
    return ok(FILES, f"{shown} is closed to others.")


def _token(settings: Settings, running: int | None) -> Finding:
    path = operator_token_path(settings)
    try:
        if not settings.auth.operator_token_file and not path.exists():
            if running is not None:
                says = f"{path} is not there, but the daemon runs (process {running}): its token cannot be checked."
                return warning(TOKEN, says, _NAME_IT)
            return ok(TOKEN, f"There is none yet: the first start makes {path}.")
        OperatorToken.read(path)
    except OSError as error:
        return failed(TOKEN, f"{path} cannot be looked at: {error.strerror}.", f"{_AS_THE_DAEMON} the way there.")
    except OperatorTokenError as error:
        return failed(TOKEN, f"{path} cannot be used.", str(error))
    return ok(TOKEN, f"{path} is closed to others and holds a token.")
