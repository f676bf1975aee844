"""What the daemon's process asks of the system, seen in a process of its own."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

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


# Every hundredth stays, as after a burst something always does: below it glibc keeps all that was freed.
_GIVE = """
from pathlib import Path
from daemon.operations.process import give_back
def megabytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6
many = [bytes(10_000) for _ in range(10_000)]
few = many[::100]
many.clear()
freed = megabytes()
give_back()
print(freed - megabytes())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="the C library is not glibc")
def test_what_was_freed_between_what_is_in_use_goes_back_to_the_system() -> None:
    shown = subprocess.run([sys.executable, "-c", _GIVE], capture_output=True, text=True, timeout=20, check=True)
    assert float(shown.stdout) > 50
