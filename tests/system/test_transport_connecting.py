"""From a name to a connection: look-up, guard, several addresses, and whose fault it is when nothing comes of it."""

from __future__ import annotations

import resource
import socket
from contextlib import contextmanager
from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest
import trio
from wire import (
    answering,
    fail_once,
    failing,
    free_port,
    open_sockets,
    post,
    receiver,
    transport,
    unanswering_port,
)

from daemon.delivery.target import Target
from daemon.egress import AddressPolicy, EgressError, Exchange, LocalFault
from daemon.egress.connecting import MOST_ADDRESSES, connect
from daemon.model import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.egress.resolver import SockAddr


class Answers:
    """A resolver that gives one prepared answer after another."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, str]] = []

    async def resolve(self, host: str, port: int, tenant: str) -> list[SockAddr]:
        self.asked.append((host, tenant))
        await trio.lowlevel.checkpoint()
        return [(each, port, 0, 0) if ":" in each else (each, port) for each in self._answers.pop(0)]


class NoAnswer:
    async def resolve(self, host: str, port: int, tenant: str) -> list[SockAddr]:
        await trio.sleep_forever()
        raise AssertionError


async def test_a_name_is_looked_up_for_its_tenant_and_the_phase_is_timed() -> None:
    resolver = Answers(["127.0.0.1"])
    async with receiver(answering()) as port, transport(resolver=resolver) as egress:
        response, exchange = await post(egress, f"http://hooks.example.:{port}/", tenant="globex")
    assert response.status_code == 200
    assert resolver.asked == [("hooks.example.", "globex")]
    assert exchange.dns is not None


async def test_the_systems_resolver_knows_localhost() -> None:
    async with receiver(answering()) as port, transport() as egress:
        response, _ = await post(egress, f"http://localhost:{port}/")
    assert response.status_code == 200


async def test_a_name_that_does_not_exist_is_dns_failed() -> None:
    error, exchange = await fail_once("http://does-not-exist.invalid/")
    assert isinstance(error, EgressError)
    assert error.code == "dns_failed"
    assert "does-not-exist.invalid" in error.detail
    assert not exchange.wrote


async def test_a_look_up_without_answer_is_dns_failed_when_connecting_has_used_its_time() -> None:
    async with transport(resolver=NoAnswer(), connect_timeout=0.05) as egress:
        with trio.fail_after(1):
            error, exchange = await failing(egress, "http://hooks.example/")
    assert error.code == "dns_failed"
    assert exchange.connect is None


async def test_a_short_deadline_counts_for_looking_up_too() -> None:
    async with transport(resolver=NoAnswer()) as egress:
        with trio.fail_after(1):
            error, _ = await failing(egress, "http://hooks.example/", within=0.05)
    assert error.code == "dns_failed"


@pytest.mark.parametrize(
    "answer",
    [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::1", "2606:4700::1111"], ["::ffff:127.0.0.1"], ["64:ff9b::7f00:1"]],
)
async def test_a_name_with_one_forbidden_address_is_not_connected_to(answer: list[str]) -> None:
    connected = False

    async def handle(stream: trio.abc.Stream) -> None:
        nonlocal connected
        connected = True

    resolver = Answers(answer)
    async with receiver(handle) as port, transport(policy=AddressPolicy(), resolver=resolver) as egress:
        error, exchange = await failing(egress, f"http://hooks.example:{port}/")
    assert error.code == "blocked_address"
    assert "hooks.example" in error.detail
    assert "egress.allow" in error.detail
    assert not any(address in error.detail for address in answer)
    assert exchange.remote_address is None
    assert not exchange.wrote
    assert not connected


async def test_an_answer_that_changes_is_checked_each_time() -> None:
    resolver = Answers(["127.0.0.1"], ["10.0.0.1"])
    async with receiver(answering()) as port, transport(resolver=resolver, keep_alive=0) as egress:
        response, _ = await post(egress, f"http://rebinding.example:{port}/")
        assert response.status_code == 200
        error, _ = await failing(egress, f"http://rebinding.example:{port}/")
    assert error.code == "blocked_address"


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"])
async def test_a_literal_is_never_looked_up_and_checked_in_every_spelling(host: str) -> None:
    async with transport(policy=AddressPolicy(), resolver=Answers()) as egress:
        error, _ = await failing(egress, f"http://{host}:8080/")
    assert error.code == "blocked_address"


@pytest.mark.parametrize(
    ("host", "path"),
    [("0177.0.0.1", "/"), ("2130706433", "/"), ("127.1", "/?a=^`{}"), ("127.0.0.1", "/" + "é" * 2000)],
    ids=["octal", "decimal", "short", "long once encoded"],
)
async def test_what_registration_reads_in_a_url_is_what_a_delivery_connects_to(host: str, path: str) -> None:
    async with receiver(answering()) as port, transport() as egress:
        endpoint = Endpoint(1, "w0000001", "acme", f"http://{host}:{port}{path}", (b"k" * 32,))
        exchange = Exchange(1, "acme", trio.current_time() + 5)
        target = Target(endpoint)
        request = target.request(target.head("evt_1", b"{}", 1), b"{}", exchange)
        response = await egress.handle_async_request(request)
    assert response.status_code == 200
    assert exchange.remote_address == f"127.0.0.1:{port}"


async def test_our_own_listener_is_refused_whatever_is_allowed() -> None:
    async with receiver(answering()) as port:
        policy = AddressPolicy([ip_network("0.0.0.0/0"), ip_network("::/0")], own=[("127.0.0.1", port)])
        async with transport(policy=policy, resolver=Answers(["127.0.0.1"])) as egress:
            for host in ("127.0.0.1", "0.0.0.0", "[::ffff:127.0.0.1]", "hooks.example"):
                error, _ = await failing(egress, f"http://{host}:{port}/")
                assert error.code == "blocked_address"


async def test_a_url_that_the_settings_no_longer_allow_is_blocked() -> None:
    async with transport(require_https=True) as egress:
        error, _ = await failing(egress, "http://hooks.example/")
    assert error.code == "blocked_address"
    assert "egress.require_https" in error.detail


async def test_of_a_flood_of_addresses_only_the_first_are_tried() -> None:
    with free_port() as nobody:
        async with receiver(answering()) as port:
            last: SockAddr = ("127.0.0.1", port)
            refusing: list[SockAddr] = [("127.0.0.1", nobody)] * MOST_ADDRESSES
            connected, address = await connect([*refusing[1:], last])
            connected.close()
            assert address == last
            with pytest.raises(EgressError, match="refused the connection"):
                await connect([*refusing, last])


async def test_nobody_listening_is_connect_refused() -> None:
    with free_port() as port:
        error, exchange = await fail_once(f"http://127.0.0.1:{port}/")
    assert error.code == "connect_refused"
    assert not exchange.wrote


async def test_no_answer_to_connecting_is_connect_timeout() -> None:
    with unanswering_port() as port:
        async with transport(connect_timeout=0.1) as egress:
            with trio.fail_after(1):
                error, exchange = await failing(egress, f"http://127.0.0.1:{port}/")
    assert error.code == "connect_timeout"
    assert exchange.connect is None
    assert not exchange.wrote


async def test_no_way_to_an_address_is_connect_failed() -> None:
    async with transport(policy=AddressPolicy([ip_network("255.255.255.255/32")])) as egress:
        error, _ = await failing(egress, "http://255.255.255.255/")
    assert error.code == "connect_failed"


async def test_the_next_address_is_tried_when_one_refuses() -> None:
    async with receiver(answering()) as port, transport(resolver=Answers(["::1", "127.0.0.1"])) as egress:
        with trio.fail_after(0.2):
            response, exchange = await post(egress, f"http://hooks.example:{port}/")
    assert response.status_code == 200
    assert exchange.remote_address == f"127.0.0.1:{port}"


async def test_the_next_address_is_tried_after_250_ms_and_the_loser_is_closed() -> None:
    before = open_sockets()
    with unanswering_port() as hanging, socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        began = trio.current_time()
        connected, address = await connect([("127.0.0.1", hanging), ("127.0.0.1", listening.getsockname()[1])])
        with connected:
            assert address == listening.getsockname()
            assert 0.24 < trio.current_time() - began < 1
            during = open_sockets() - before
    assert len(during) == 5, "the hanging port's three, the listening one, the connected one"


async def test_addresses_that_all_fail_give_the_most_telling_reason() -> None:
    with free_port() as port, pytest.raises(EgressError) as caught:
        await connect([("255.255.255.255", port), ("127.0.0.1", port)])
    assert caught.value.code == "connect_refused"


async def test_a_slow_address_that_answers_late_still_wins_over_failing_ones() -> None:
    async with receiver(answering()) as port:
        connected, address = await connect([("127.0.0.9", 1), ("127.0.0.1", port), ("127.0.0.9", 1)])
        connected.close()
    assert address == ("127.0.0.1", port)


@contextmanager
def no_descriptors_left() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as last:
        lowest = last.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "hooks.invalid"])
async def test_no_descriptor_left_is_our_fault_and_no_attempt(host: str) -> None:
    async with transport() as egress:
        with free_port() as port, no_descriptors_left():
            error, exchange = await failing(egress, f"http://{host}:{port}/")
    assert isinstance(error, LocalFault)
    assert not exchange.wrote


async def test_a_network_opened_for_one_tenant_is_closed_to_another() -> None:
    policy = AddressPolicy([], {"acme": [ip_network("127.0.0.0/8")]})
    async with receiver(answering()) as port, transport(policy=policy) as egress:
        response, _ = await post(egress, f"http://127.0.0.1:{port}/", tenant="acme")
        assert response.status_code == 200
        with pytest.raises(EgressError, match="loopback"):
            await post(egress, f"http://127.0.0.1:{port}/", key=2, tenant="globex")
