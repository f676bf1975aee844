"""Killed at each point of a delivery's way: what each of the three ledgers then says (CONTRACT §8.1-2)."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import pytest
import trio
from harness.books import rows
from harness.certificates import Authority
from harness.events import session_event
from harness.faults import killed_at
from harness.faulty_daemon import POINTS
from harness.foreign import Ledger, counting_receiver

if TYPE_CHECKING:
    from pathlib import Path

    from harness.api import Api
    from harness.starting import Daemons, Receivers


@dataclass(frozen=True)
class Expected:
    """Of the event whose way was cut: `dead`, its delivery in the file of the dead daemon (None: not there);
    `known`, whether its key is taken when it is published again; `final`, what becomes of the delivery; `arrived`, how
    many POSTs there ever are."""

    dead: str | None
    known: bool
    final: str
    arrived: int


EXPECTED = {
    "after receive": Expected(None, False, "succeeded", 1),
    "before the commit": Expected(None, False, "succeeded", 1),
    # The second event of its kind: its claim was foreseen.
    "after the commit, before the hand-over": Expected("sending", True, "interrupted", 0),
    "after the claim": Expected("sending", True, "interrupted", 0),
    "after connect": Expected("sending", True, "interrupted", 0),
    "after the bytes were sent": Expected("sending", True, "interrupted", 1),
    "after the response": Expected("sending", True, "interrupted", 1),
    "before the outcome's commit": Expected("sending", True, "interrupted", 1),
    "after the outcome's commit": Expected("succeeded", True, "succeeded", 1),
}
EXPECTED_OVER_TLS = {
    "after connect": Expected("sending", True, "interrupted", 0),
    "after the handshake": Expected("sending", True, "interrupted", 0),
    "after the bytes were sent over TLS": Expected("sending", True, "interrupted", 1),
    "after the response": Expected("sending", True, "interrupted", 1),
}
# A connection of its own for each attempt, so that each attempt connects.
SETTINGS = {"delivery": {"keep_alive": 0}}
BEFORE_THE_PROMISE = ("after receive", "before the commit", "after the commit, before the hand-over")


@pytest.mark.parametrize("point", EXPECTED)
async def test_a_kill_here_loses_nothing_promised_and_repeats_nothing(
    point: str, daemons: Daemons, tmp_path: Path
) -> None:
    expected, ledger = EXPECTED[point], Ledger(tmp_path / "ledger")
    async with counting_receiver(ledger) as port:
        daemon = await daemons.start(SETTINGS, command=killed_at(point, passing=2))
        token = await daemon.operator().create_tenant("acme")
        acme = daemon.caller(token)
        await acme.register(f"http://127.0.0.1:{port}/hook")
        (first,) = await acme.publish(session_event("first", key="first"))
        await ledger.reaches(1, within=10)
        await acme.finished([first])
        promised = await publish_if_it_lives(acme, "second")
        assert promised is None or point not in BEFORE_THE_PROMISE
        assert await daemon.exit_code() == -signal.SIGKILL, daemon.log.tail()
        assert statuses(daemon.database, "second") == ([] if expected.dead is None else [expected.dead])

        restarted = await daemons.start(SETTINGS)
        acme = restarted.caller(token)
        (again,) = await acme.publish(session_event("second", key="second"))
        assert again["duplicate"] is expected.known
        assert promised in (None, again["id"])
        (delivery,) = await acme.finished([again])
        assert delivery["status"] == expected.final
        await acme.finished(await acme.publish(session_event("third", key="third")))
        assert ledger.arrivals()["/hook", again["id"]] == expected.arrived
        assert ledger.arrivals()["/hook", first["id"]] == 1
        assert ledger.total() == 2 + expected.arrived
        for key, status in (("first", "succeeded"), ("second", expected.final), ("third", "succeeded")):
            assert statuses(daemon.database, key) == [status]


async def test_killed_before_it_was_claimed_it_is_attempted_by_the_next_one(daemons: Daemons, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    async with counting_receiver(ledger) as port:
        daemon = await daemons.start(SETTINGS, command=killed_at("after the commit, before the hand-over"))
        token = await daemon.operator().create_tenant("acme")
        acme = daemon.caller(token)
        await acme.register(f"http://127.0.0.1:{port}/hook")
        assert await publish_if_it_lives(acme, "first") is None
        assert await daemon.exit_code() == -signal.SIGKILL, daemon.log.tail()
        assert statuses(daemon.database, "first") == ["pending"]

        acme = (await daemons.start(SETTINGS)).caller(token)
        (again,) = await acme.publish(session_event("first", key="first"))
        assert again["duplicate"] is True
        (delivery,) = await acme.finished([again])
        assert delivery["status"] == "succeeded"
        assert ledger.arrivals() == {("/hook", again["id"]): 1}


async def test_killed_before_recovery_commits_it_recovers_the_next_time(daemons: Daemons, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    async with counting_receiver(ledger, delay=3600) as port:
        daemon = await daemons.start()
        token = await daemon.operator().create_tenant("acme")
        await daemon.caller(token).register(f"http://127.0.0.1:{port}/hook")
        await daemon.caller(token).publish(session_event("first", key="first"))
        await ledger.reaches(1, within=10)
        daemon.kill()
        await daemon.exit_code()
        recovering = await daemons.launch(command=killed_at("before recovery's commit"))
        assert await recovering.exit_code() == -signal.SIGKILL, recovering.log.tail()
        assert statuses(daemon.database, "first") == ["sending"]

        restarted = await daemons.start()
        assert statuses(daemon.database, "first") == ["interrupted"]
        assert len(restarted.log.of("delivery.interrupted")) == 1
        assert ledger.total() == 1


@pytest.mark.parametrize("point", EXPECTED_OVER_TLS)
async def test_a_kill_here_over_tls_loses_nothing_promised_and_repeats_nothing(
    point: str, daemons: Daemons, receivers: Receivers, tmp_path: Path
) -> None:
    expected, authority = EXPECTED_OVER_TLS[point], Authority(tmp_path)
    receiver = await receivers.start(tls=authority.good())
    daemon = await daemons.start(SETTINGS, env=authority.env, command=killed_at(point, passing=2))
    token = await daemon.operator().create_tenant("acme")
    acme = daemon.caller(token)
    await acme.register(receiver.url)
    (first,) = await acme.finished(await acme.publish(session_event("first", key="first")))
    assert first["status"] == "succeeded"
    await publish_if_it_lives(acme, "second")
    assert await daemon.exit_code() == -signal.SIGKILL, daemon.log.tail()
    assert statuses(daemon.database, "second") == [expected.dead]

    acme = (await daemons.start(SETTINGS, env=authority.env)).caller(token)
    (again,) = await acme.publish(session_event("second", key="second"))
    assert again["duplicate"] is expected.known
    (delivery,) = await acme.finished([again])
    assert delivery["status"] == expected.final
    (third,) = await acme.publish(session_event("third", key="third"))
    await acme.finished([third])
    arrived = [request.header("webhook-id") for request in receiver.requests]
    assert arrived == [first["event"], *[again["id"]] * expected.arrived, third["id"]]


def test_every_point_is_tried() -> None:
    assert {*EXPECTED, *EXPECTED_OVER_TLS, "before recovery's commit"} == POINTS.keys()


async def publish_if_it_lives(acme: Api, name: str) -> str | None:
    """The event's id, or None if the daemon did not live to tell it."""
    with trio.fail_after(10):
        try:
            (event,) = await acme.publish(session_event(name, key=name))
        except httpx.TransportError:
            return None
    return event["id"]


def statuses(database: Path, key: str) -> list[str]:
    return [row.status for row in rows(database) if row.key == key]
