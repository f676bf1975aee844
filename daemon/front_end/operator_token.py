"""The operator's token: a file that only its owner should read, made at the first start unless one is configured."""

from __future__ import annotations

import os
import re
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.front_end.tokens import digest, new_token
from daemon.operations.logs import get_logger

if TYPE_CHECKING:
    from daemon.settings import Settings

FILE_NAME = "operator.token"
SHORTEST = 32
"""Characters; 32 of base64 hold 192 bits (CONTRACT §7)."""

_LARGEST_FILE = 4096
_TEXT = re.compile(r"[!-~]+")

log = get_logger()


class OperatorTokenError(Exception):
    """The file cannot be used. The message says why and what to change, and shows nothing of what the file holds."""


class OperatorToken(Struct, frozen=True):
    """The operator's credential, known by its SHA-256 alone."""

    digest: bytes

    def __repr__(self) -> str:
        return "OperatorToken()"

    @classmethod
    def open(cls, settings: Settings) -> OperatorToken:
        """Read the file; made now, mode 0600, if the settings name none and none is beside the database.

        Raises OperatorTokenError. Logs where the file is when it makes it."""
        configured = settings.auth.operator_token_file
        path = operator_token_path(settings)
        if not configured and not path.exists():
            _make(path)
        return cls.read(path)

    @classmethod
    def read(cls, path: Path) -> OperatorToken:
        """Raises OperatorTokenError."""
        return cls(digest(_read(path)))


def operator_token_path(settings: Settings) -> Path:
    """`auth.operator_token_file`, or `operator.token` beside the database."""
    return Path(settings.auth.operator_token_file or Path(settings.storage.path).parent / FILE_NAME)


def _make(path: Path) -> None:
    """All of the file appears at once or nothing does; one that another process makes meanwhile is left as it is."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(new_token() + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, path)
        finally:
            draft.unlink(missing_ok=True)
    except FileExistsError:
        return
    except OSError as error:
        raise OperatorTokenError(
            f"The operator's token cannot be written to {path}: {error.strerror}. Make its folder writable, or name a "
            "file of your own in auth.operator_token_file."
        ) from None
    log.info("operator_token.created", path=str(path.absolute()))


def _read(path: Path) -> str:
    """The token in the file. The file is looked at while it is open: what is checked is what is read."""
    try:
        with path.open("rb") as file:
            _check_mode(path, os.fstat(file.fileno()).st_mode)
            raw = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise OperatorTokenError(
            f"The operator's token cannot be read from {path}: {error.strerror}. auth.operator_token_file says where."
        ) from None
    text = raw.decode("latin-1").strip()
    if not text:
        raise OperatorTokenError(f"{path} is empty. Write a token of at least {SHORTEST} characters into it.")
    if len(raw) > _LARGEST_FILE or not _TEXT.fullmatch(text):
        raise OperatorTokenError(f"{path} must hold one token of visible ASCII characters and nothing else.")
    if len(text) < SHORTEST:
        raise OperatorTokenError(
            f"The token in {path} is too short to be safe. Use at least {SHORTEST} random characters, such as those of "
            "“openssl rand -hex 32”."
        )
    return text


def _check_mode(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise OperatorTokenError(f"{path} is not a regular file. Name one in auth.operator_token_file.")
    # A group may read: systemd and Kubernetes hand credentials over as 0440.
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise OperatorTokenError(
            f"{path} can be read by others or written by its group (mode {stat.S_IMODE(mode):04o}): whoever reads it "
            f"may do everything. Run: chmod 600 {path}"
        )
