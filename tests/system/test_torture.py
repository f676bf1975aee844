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

SLOW_ANSWER = 0.3
# Some that are under way at the signal are answered in time, others not; connections are new, so that some of those
# have not sent a byte.
HASTY = {
    "delivery": {
        "timeout": 2,
        "connect_timeout": 2,
        "keep_alive": 0,
        "drain_timeout": 0.15,
        "max_concurrent_per_webhook": 64,
        "max_concurrent_per_tenant": 256,
    }
}
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


async def test_sigterm_that_leaves_no_time_interrupts_what_was_sent_and_keeps_what_was_not(tmp_path: Path) -> None:
    closing = await endure(tmp_path, SEED, max(2, ROUNDS // 4), signal.SIGTERM, HASTY, SLOW_ANSWER, cuts_off=True)
    assert closing.promised == closing.originals > 0
    assert set(closing.recorded) == {"succeeded", "failed", "interrupted"}
