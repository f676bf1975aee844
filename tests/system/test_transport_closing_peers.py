"""Peers that close idle connections whenever they like, in processes of their own, near and 50 ms away.

A close that crosses a request on its way cannot be told from a request that was read, and there is no second attempt:
what fails so is measured, bounded, and marked by `reusedConnection`. `make closing-peers` takes it at length.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio
from harness.foreign import process_with_port

if TYPE_CHECKING:
    from collections.abc import Callable

PEERS = Path(__file__).parent / "peers"
ONE_WAY = "0.025"
NOT_PERMITTED = 77
TIMES = int(os.environ.get("CLOSING_PEERS_TIMES", "1"))


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Says it even when the test passes."""

    def say(line: str) -> None:
        with capsys.disabled():
            print(f"\n  {line}", end=" ")

    return say


async def posted(*command: str | Path) -> Any:
    ended = await trio.run_process([sys.executable, *command], capture_stdout=True, check=False)
    if ended.returncode == NOT_PERMITTED:
        pytest.skip(ended.stdout.decode().strip())
    assert ended.returncode == 0
    return json.loads(ended.stdout)


async def nearby(count: int, *options: str) -> tuple[Any, Any]:
    async with process_with_port(sys.executable, PEERS / "closing_peer.py", "127.0.0.1", *options) as (peer, port):
        report = await posted(PEERS / "posting.py", f"http://127.0.0.1:{port}", str(count), "16", "0.002")
        assert peer.stdin is not None
        assert peer.stdout is not None
        await peer.stdin.aclose()
        return report, json.loads(b"".join([part async for part in peer.stdout]))


async def far_away(count: int, *options: str) -> tuple[Any, Any]:
    if sys.platform != "linux":
        pytest.skip("needs Linux's network namespaces")
    both = await posted(PEERS / "distant.py", ONE_WAY, *options, "--", str(count), "64", "1")
    return both["poster"], both["peer"]


def crossed(count: int, report: Any, ledger: Any) -> int:
    """How many were lost because a close crossed them; nothing else may have gone wrong."""
    assert ledger["twice"] == []
    assert report["others"] == {}, "only kept connections are closed by the peer"
    assert set(report["failures"]) <= {"connection_lost", "send_failed"}
    lost = sum(report["failures"].values())
    assert len(report["delivered"]) == count - lost
    assert {f"/{number}" for number in report["delivered"]} <= set(ledger["arrived"])
    return lost


def rate(where: str, count: int, report: Any, ledger: Any, lost: int) -> str:
    used = report["reused"]
    return (
        f"{where}: {count} deliveries, {used} over kept connections, {ledger['closed']} connections closed while idle; "
        f"{lost} failed with reusedConnection ({lost / max(used, 1):.2%})"
    )


async def test_of_10000_deliveries_nearby_next_to_none_is_lost_to_a_close_and_nothing_arrives_twice(
    show: Callable[[str], None],
) -> None:
    count = 10_000 * TIMES
    with trio.fail_after(60 * TIMES):
        report, ledger = await nearby(count)
    lost = crossed(count, report, ledger)
    show(rate("nearby", count, report, ledger, lost))
    assert ledger["closed"] > count / 100
    assert lost <= count / 500


async def test_over_a_link_with_50_ms_what_a_close_crosses_fails_once_and_is_counted_apart(
    show: Callable[[str], None],
) -> None:
    count = 128 * TIMES
    with trio.fail_after(60 * TIMES):
        report, ledger = await far_away(count, "--most", "1")
    lost = crossed(count, report, ledger)
    show(rate("50 ms away, closing after 0 to 1 s", count, report, ledger, lost))
    assert report["reused"] > lost


async def test_a_peer_that_keeps_connections_longer_than_we_do_loses_nothing_even_far_away(
    show: Callable[[str], None],
) -> None:
    count = 128 * TIMES
    with trio.fail_after(60 * TIMES):
        report, ledger = await far_away(count, "--least", "1.5", "--most", "5")
    show(rate("50 ms away, closing after 1.5 to 5 s", count, report, ledger, crossed(count, report, ledger)))
    assert report["failures"] == {}
    assert report["reused"] > 0
