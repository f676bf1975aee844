"""Descriptors gone, thousands of idle clients, clients that drip or hang: everyone else is served (CONTRACT §7-8)."""

from __future__ import annotations

import os
import resource
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import trio
from harness.events import session_event
from harness.receiver import OK, answers
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.api import Api
    from harness.daemon_process import Daemon
    from harness.starting import Daemons, Receivers

IDLE_CLIENTS = int(os.environ.get("IDLE_CLIENTS", "2000"))
# What the test and the daemon need of descriptors beside those.
OTHER_DESCRIPTORS = 500
SOON = 10


@contextmanager
def many_descriptors() -> Iterator[int]:
    """Enough for so many idle clients; how many. Daemons started inside inherit the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = IDLE_CLIENTS + OTHER_DESCRIPTORS
    if hard != resource.RLIM_INFINITY and hard < wanted:
        why = f"{IDLE_CLIENTS} idle clients need {wanted} descriptors, `ulimit -Hn` allows {hard}"
        (pytest.fail if "IDLE_CLIENTS" in os.environ else pytest.skip)(why)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        yield IDLE_CLIENTS
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Clients:
    """Connections of clients that mean no good, or nothing at all; closed together."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self.streams: list[trio.SocketStream] = []

    async def add(self, number: int, say: bytes = b"") -> None:
        """Connect that many, each with these first bytes."""
        for _ in range(number):
            stream = await trio.open_tcp_stream(*self._address)
            self.streams.append(stream)
            if say:
                await stream.send_all(say)

    async def __aenter__(self) -> Clients:
        return self

    async def __aexit__(self, *_: object) -> None:
        for stream in self.streams:
            stream.socket.close()


async def serves(acme: Api, name: str) -> None:
    """A publisher gets its event accepted and delivered soon."""
    with trio.fail_after(SOON):
        (delivery,) = await acme.finished(await acme.publish(session_event(name)))
    assert delivery["status"] == "succeeded"


async def test_thousands_of_idle_clients_leave_room_for_a_publisher(daemons: Daemons, receivers: Receivers) -> None:
    receiver = await receivers.start()
    with many_descriptors() as number:
        daemon = await daemons.start()
        acme = await daemon.tenant()
        await acme.register(receiver.url)
        async with Clients(daemon.bind) as clients:
            with trio.fail_after(60):
                await clients.add(number)
            await serves(acme, "old connection")
            newcomer = daemon.caller(acme.client.headers["authorization"].removeprefix("Bearer "))
            await serves(newcomer, "new connection")
            assert descriptors(daemon) < 1000 + 100


async def test_thousands_of_idle_clients_that_are_allowed_slow_nobody(daemons: Daemons, receivers: Receivers) -> None:
    receiver = await receivers.start()
    with many_descriptors() as number:
        daemon = await daemons.start({"server": {"max_connections": number + 10}})
        acme = await daemon.tenant()
        await acme.register(receiver.url)
        async with Clients(daemon.bind) as clients:
            with trio.fail_after(60):
                # One answered request each: they then rest as kept connections do, beyond the time a head may take.
                await clients.add(number, b"GET /healthz HTTP/1.1\r\nHost: daemon\r\n\r\n")
                for stream in clients.streams:
                    assert (await stream.receive_some(15)).startswith(b"HTTP/1.1 200")
            assert descriptors(daemon) > number
            await serves(acme, "beside them")


async def test_clients_that_drip_their_heads_keep_nobody_out(daemons: Daemons, receivers: Receivers) -> None:
    receiver = await receivers.start()
    daemon = await daemons.start({"server": {"max_connections": 50}})
    acme = await daemon.tenant()
    await acme.register(receiver.url)
    async with Clients(daemon.bind) as clients, trio.open_nursery() as nursery:
        await clients.add(200, b"POST /v1/events HTTP/1.1\r\nHost: daemon\r\nX-Slow: ")
        nursery.start_soon(drip, clients)
        for number in range(10):
            await serves(acme, f"s-{number}")
        nursery.cancel_scope.cancel()


async def drip(clients: Clients) -> None:
    """A byte for each, round and round, as long as the daemon takes it."""
    while clients.streams:
        for stream in list(clients.streams):
            try:
                await stream.send_all(b"a")
            except trio.BrokenResourceError:
                clients.streams.remove(stream)
                stream.socket.close()
            await trio.lowlevel.checkpoint()


async def test_publishers_that_hang_in_the_middle_of_a_body_get_408_and_hold_up_nobody(
    daemons: Daemons, receivers: Receivers
) -> None:
    receiver = await receivers.start()
    daemon = await daemons.start({"server": {"request_timeout": 1}})
    acme = await daemon.tenant()
    await acme.register(receiver.url)
    token = acme.client.headers["authorization"]
    head = f"POST /v1/events HTTP/1.1\r\nHost: daemon\r\nAuthorization: {token}\r\nContent-Length: 100000\r\n\r\n"
    async with Clients(daemon.bind) as clients:
        await clients.add(20, head.encode() + b'{"events":[')
        await serves(acme, "beside them")
        for stream in clients.streams:
            with trio.fail_after(1 + SOON):
                assert (await stream.receive_some(100)).startswith(b"HTTP/1.1 408")
    await serves(acme, "after them")
    assert len(await acme.deliveries()) == 2


async def test_without_descriptors_deliveries_wait_and_are_then_made_once(
    daemons: Daemons, receivers: Receivers
) -> None:
    receiver = await receivers.start(answers(OK))
    daemon = await daemons.start({"delivery": {"keep_alive": 0}})
    acme = await daemon.tenant()
    await acme.register(receiver.url)
    await serves(acme, "before")
    with no_more_descriptors(daemon):
        accepted = await acme.publish(*[session_event(f"s-{n}") for n in range(5)])
        await daemon.log.count("delivery.postponed", 5)
        assert len(receiver.requests) == 1
    assert {delivery["status"] for delivery in await acme.finished(accepted, within=15)} == {"succeeded"}
    assert sorted(request.header("webhook-id") for request in receiver.requests[1:]) == sorted(
        event["id"] for event in accepted
    )
    assert (await acme.ask("GET", "/v1/webhooks"))["data"][0]["deliveryAttempts"] == 0
    await eventually(lambda: accepts(daemon), "the daemon accepts connections again")


async def test_without_descriptors_a_read_is_refused_and_publishing_goes_on(daemons: Daemons) -> None:
    daemon = await daemons.start()
    acme = await daemon.tenant()
    await acme.publish(session_event("before"))
    with no_more_descriptors(daemon):
        refused = await acme.request("GET", "/v1/deliveries")
        assert (refused.status_code, refused.json()["type"]) == (503, "/problems/storage-unavailable"), refused.text
        assert int(refused.headers["retry-after"]) > 0
        await acme.publish(session_event("meanwhile"))
        assert (await acme.request("GET", "/readyz")).status_code == 200
    assert (await acme.ask("GET", "/v1/deliveries"))["data"] == []


@contextmanager
def no_more_descriptors(daemon: Daemon) -> Iterator[None]:
    """Not one descriptor more than it has now: none below the first that is free is to be had."""
    pid = daemon.process.pid
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    taken = set(map(int, os.listdir(f"/proc/{pid}/fd")))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(set(range(len(taken) + 1)) - taken), limits[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


def descriptors(daemon: Daemon) -> int:
    return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))


async def accepts(daemon: Daemon) -> bool:
    return (await daemon.caller(None).request("GET", "/healthz")).status_code == 200
