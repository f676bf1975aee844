"""Runs schemathesis, a process of its own, against a daemon that is there."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent
_CASES = re.compile(r"^  (\d[\d,]*) generated", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """How it ended, and all that it said."""

    code: int
    said: str

    @property
    def cases(self) -> int:
        found = _CASES.search(self.said)
        assert found is not None, self.said
        return int(found[1].replace(",", ""))

    @property
    def table(self) -> str:
        """Its closing table."""
        return self.said[self.said.index("= SUMMARY =") :]


async def schemathesis(
    base_url: str, folder: Path, environment: dict[str, str], options: Sequence[str], *, within: float
) -> Run:
    """Tests the document at `base_url` against it. `environment` is for the configuration and the hooks."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--no-color", "--config-file", str(HERE / "schemathesis.toml")),
        *("run", f"{base_url}/openapi.json", "--continue-on-failure", *options),
    ]
    with trio.fail_after(within):
        ended = await trio.run_process(
            command,
            stdin=b"",
            capture_stdout=True,
            stderr=subprocess.STDOUT,
            check=False,
            cwd=folder,
            env={**environment, "SCHEMATHESIS_HOOKS": str(HERE / "hooks.py"), "COLUMNS": "120"},
        )
    return Run(ended.returncode, ended.stdout.decode())
