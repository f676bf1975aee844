"""The disk that the database is on: room, whether what is written stays, and what kind of disk it is."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from rich import filesize

from daemon.cli.checks.finding import Finding, failed, ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.settings import Settings

SPACE, WRITES, KIND = "disk space", "disk writes", "file system"

_LITTLE = 10  # times storage.min_free_bytes
_SLOW_SECONDS = 0.1
_SYNCS = 3
_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "lustre", "fuse.sshfs", "fuse.glusterfs"})
_PASSING = {
    "tmpfs": "is in memory: nothing on it outlives a restart of the machine",
    "ramfs": "is in memory: nothing on it outlives a restart of the machine",
    "overlay": "is a container's own layer: what is on it goes with the container",
}


def disk(settings: Settings) -> Iterator[Finding]:
    folder = Path(settings.storage.path).absolute().parent
    try:
        status = os.statvfs(folder)
    except OSError as error:
        yield failed(SPACE, f"{folder} cannot be looked at: {error.strerror}.", "See “database folder”.")
        return
    inodes = status.f_favail if status.f_files else None
    yield judge_space(status.f_bavail * status.f_frsize, inodes, settings.storage.min_free_bytes)
    yield _write(folder)
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return
    yield judge_kind(folder, kind_of(mounts, folder.resolve()))


def judge_space(free: int, inodes: int | None, least: int) -> Finding:
    """`inodes`: how many files can still be made; None where that is not counted."""
    shown = f"{filesize.decimal(free)} free"
    if free < least:
        says = f"{shown}, less than storage.min_free_bytes ({filesize.decimal(least)}): nothing is accepted."
        return failed(SPACE, says, "Make room on that disk, or move the database to a larger one.")
    if inodes == 0:
        return failed(SPACE, f"{shown}, but no file can be made: no inode is free.", "Delete files on that disk.")
    if free < _LITTLE * least:
        says = f"{shown}; below {filesize.decimal(least)} nothing is accepted."
        return warning(SPACE, says, "Make room soon.")
    return ok(SPACE, f"{shown}; below {filesize.decimal(least)} nothing is accepted.")


def _write(folder: Path) -> Finding:
    """Write, fsync, delete; in the folder itself, since a limit may hold for it alone."""
    place = folder / f".doctor.{secrets.token_hex(8)}"
    took: list[float] = []
    try:
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            for _ in range(_SYNCS):
                began = time.perf_counter()
                os.write(descriptor, bytes(4096))
                os.fsync(descriptor)
                took.append(time.perf_counter() - began)
        finally:
            os.close(descriptor)
            os.unlink(place)
    except OSError as error:
        says = f"Writing and syncing a file in {folder} failed: {error.strerror}."
        return failed(WRITES, says, "Make the disk writable, and the folder the daemon's; look into the kernel's log.")
    return judge_sync(sorted(took)[len(took) // 2])


def judge_sync(seconds: float) -> Finding:
    says = f"A write and its fsync took {seconds * 1000:.1f} ms."
    if seconds > _SLOW_SECONDS:
        return warning(WRITES, says, "Every publish waits for one: put the database on a faster disk.")
    return ok(WRITES, says)


def judge_kind(folder: Path, kind: str | None) -> Finding:
    if kind in _NETWORK:
        says = f"{folder} is on a network share ({kind}), where SQLite's locks and syncs cannot be relied on."
        return failed(KIND, says, "Name a file on a local disk in storage.path.")
    if kind in _PASSING:
        return warning(KIND, f"{folder} {_PASSING[kind]} ({kind}).", "Put the database on a disk, or on a volume.")
    return ok(KIND, f"{folder} is on {kind or 'a file system that is not listed'}.")


def kind_of(mounts: str, path: PurePath) -> str | None:
    """The type of the file system that `path` is on, by the text of proc(5) mountinfo."""
    found, depth = None, -1
    for line in mounts.splitlines():
        before, dash, after = line.partition(" - ")
        fields = before.split(" ")
        if not dash or len(fields) < 5:
            continue
        point = PurePath(fields[4].encode("latin-1", "surrogateescape").decode("unicode_escape"))
        # Of two mounted on one place the later hides the earlier.
        if path.is_relative_to(point) and len(point.parts) >= depth:
            found, depth = after.split(" ")[0], len(point.parts)
    return found
