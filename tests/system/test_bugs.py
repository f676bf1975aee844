"""A bug in an actor ends the process, loudly and soon, so that it is started again (DESIGN, "A bug")."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

import httpx
import trio
from harness.events import session_event
from harness.receiver import never_answers

if TYPE_CHECKING:
    from harness.api import Api
    from harness.starting import Daemons, Receivers


async def publish(acme: Api, number: int) -> None:
    with contextlib.suppress(httpx.TransportError):
        await acme.request("POST", "/v1/events", session_event(f"s-{number}"))


async def test_a_bug_in_an_actor_exits_1_with_its_traceback_while_all_else_is_busy(
    daemons: Daemons, receivers: Receivers
) -> None:
    """The bug: a claim finds a table missing. An attempt hangs meanwhile, and requests keep coming."""
    receiver = await receivers.start(never_answers)
    daemon = await daemons.start({"delivery": {"timeout": 60, "drain_timeout": 60}})
    acme = await daemon.tenant()
    await acme.register(receiver.url)
    await acme.publish(session_event("s-1"))
    await receiver.arrived()
    other = sqlite3.connect(daemon.database)
    other.execute("DROP TABLE secrets")
    other.close()
    async with trio.open_nursery() as requests:
        for n in range(5):
            requests.start_soon(publish, acme, n)
        assert await daemon.exit_code(within=5) == 1
        requests.cancel_scope.cancel()
    (failed,) = daemon.log.of("daemon.failed")
    assert "no such table" in str(failed)
    assert "progress" in str(failed)
