"""Ended at random moments under load, again and again: nothing lost, nothing sent twice by itself (CONTRACT §8.1-2).

The long form is `make torture`. CRASH_SEED replays what was drawn by lot; how processes interleave is the machine's.
"""

from __future__ import annotations

import os
import random
import signal
from typing import TYPE_CHECKING

from harness.torture import endure

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "6"))
SEED = int(os.environ.get("CRASH_SEED") or random.randrange(1 << 32))


async def test_kill_9_at_random_moments_loses_nothing_promised_and_repeats_nothing(tmp_path: Path) -> None:
    closing = await endure(tmp_path, SEED, ROUNDS, signal.SIGKILL)
    assert closing.promised == closing.originals > 0
    assert closing.redeliveries > 0
    assert set(closing.recorded) == {"succeeded", "failed", "interrupted"}


async def test_sigterm_at_random_moments_finishes_what_was_begun_and_keeps_the_rest(tmp_path: Path) -> None:
    closing = await endure(tmp_path, SEED, max(3, ROUNDS // 4), signal.SIGTERM)
    assert closing.promised == closing.originals > 0
    assert set(closing.recorded) == {"succeeded", "failed"}
    assert closing.arrived == closing.originals + closing.redeliveries
