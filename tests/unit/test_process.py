"""What the daemon's process asks of the system, seen in a process of its own."""

from __future__ import annotations

import subprocess
import sys

_SHOW = """
import os, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 128))
os.umask(0)
from daemon.operations.process import prepare
prepare()
print(resource.getrlimit(resource.RLIMIT_CORE)[0], resource.getrlimit(resource.RLIMIT_NOFILE), oct(os.umask(0)))
"""


def test_files_are_private_cores_are_off_and_as_many_descriptors_as_allowed() -> None:
    shown = subprocess.run([sys.executable, "-c", _SHOW], capture_output=True, text=True, timeout=20, check=True)
    assert shown.stdout.strip() == "0 (128, 128) 0o77"
