"""What the machine is made of, kept in the user's cache: a minimal Debian 12, and the packages for an installation
without a network."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

TREE = Path(__file__).parents[2]
SUITE = "bookworm"
PACKAGES = ("make", "python3", "python3-venv", "systemd", "systemd-sysv")
PYTHON = "3.11"
"""Debian 12's."""


def debian() -> Path:
    """The root folder of a Debian that nobody has booted; made at the first call, which takes a minute."""
    with _made_once(f"{SUITE}-{_digest(*PACKAGES)}") as (folder, draft):
        if draft is not None:
            mirror = _mirror()
            wanted = ["--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(draft)]
            _run("debootstrap", *wanted, *([mirror] if mirror else []))
    return folder


def wheels() -> Path:
    """A folder with every package of requirements.txt, checked against its hashes."""
    requirements = TREE / "requirements.txt"
    with _made_once(f"wheels-{PYTHON}-{platform.machine()}-{_digest(requirements.read_text())}") as (folder, draft):
        if draft is not None:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
            chosen = ["--require-hashes", "--only-binary", ":all:", "--python-version", PYTHON]
            _run(*pip, *chosen, "--requirement", str(requirements), "--dest", str(draft))
    return folder


def clone(target: Path) -> None:
    """What is committed, as a person who installs it gets it."""
    _run("git", "clone", "--quiet", "--no-hardlinks", str(TREE), str(target))


@contextmanager
def _made_once(name: str) -> Generator[tuple[Path, Path | None]]:
    """The folder of that name, and a draft to fill if it does not exist yet: all of it appears at once."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tenant-webhooks"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / name
    if folder.exists():
        yield folder, None
        return
    draft = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=cache))
    try:
        yield folder, draft
        draft.chmod(0o755)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _mirror() -> str | None:
    """Where this machine's own apt gets that suite; None: debootstrap's default."""
    if shutil.which("apt-get") is None:
        return None
    lines = _run("apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)").splitlines()
    return next((line.split(" ", 1)[1] for line in lines if line.startswith(f"{SUITE} ")), None)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _run(*command: str) -> str:
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}:\n{done.stdout[-4000:]}"
    return done.stdout


if __name__ == "__main__":
    debian()
