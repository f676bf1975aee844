"""Files of another user's, and a command that may not read them."""

from __future__ import annotations

import os
import shutil

import pytest

from harness.daemon_process import COMMAND

NOBODY = 65534
# Root that is bound by modes as any other user is.
BOUND_BY_MODES = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--", *COMMAND]
needs_root_that_can_be_bound = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root, and setpriv to bind it"
)
