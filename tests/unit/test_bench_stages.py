"""Where sampled CPU time is booked."""

from __future__ import annotations

import pytest

from tests.bench.stages import IDLE, OTHER, STARTING, Frame, split, stage

CLAIM: list[Frame] = [("/x/daemon/persistence/progress.py", "_look"), ("/x/daemon/persistence/execution.py", "execute")]
SEND: list[Frame] = [("/x/trio/_socket.py", "send"), ("/x/daemon/egress/wire.py", "send")]
WAITING: list[Frame] = [("/x/lib/threading.py", "wait"), ("/x/daemon/operations/log_writer.py", "_run")]


@pytest.mark.parametrize(
    ("stack", "expected"),
    [
        (CLAIM, "claim"),
        (SEND, "attempt"),
        (WAITING, IDLE),
        ([("/x/trio/_core/_run.py", "unrolled_run")], "schedule"),
        ([("/x/json/decoder.py", "decode"), ("/x/daemon/front_end/app.py", "handle")], "decode"),
        ([("<frozen importlib._bootstrap>", "_load"), ("/x/daemon/front_end/app.py", "<module>")], STARTING),
        ([("/x/somewhere/else.py", "main")], OTHER),
        ([], OTHER),
    ],
)
def test_the_innermost_frame_that_a_stage_owns_decides(stack: list[Frame], expected: str) -> None:
    assert stage(stack) == expected


def test_shares_sum_to_one_and_what_was_used_before_a_wait_follows_the_thread() -> None:
    shares = split([("writer", CLAIM, 1.0), ("writer", WAITING, 1.0), ("main", SEND, 2.0)])
    assert shares == {"claim": 0.5, "attempt": 0.5}


def test_the_start_is_left_out() -> None:
    assert split([("main", [("<frozen importlib._bootstrap>", "_load")], 9.0), ("main", SEND, 1.0)]) == {"attempt": 1.0}


def test_a_thread_that_was_never_seen_at_work_is_not_lost() -> None:
    assert split([("writer", WAITING, 1.0), ("main", SEND, 1.0)]) == {"attempt": 0.5, OTHER: 0.5}


def test_nothing_sampled_is_no_share() -> None:
    assert split([]) == {}
