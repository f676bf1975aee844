"""Look-ups in threads that cannot be cancelled: one tenant's hanging ones leave the others theirs."""

from __future__ import annotations

import errno
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from daemon.egress.faults import EgressError, LocalFault, is_local
from daemon.egress.resolver import SockAddr, SystemResolver

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS: SockAddr = ("192.0.2.1", 443)


class NameServer:
    """Blocking look-ups: those of a name that begins with `hang` end when `released`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.released = threading.Event()

    def look_up(self, host: str, port: int) -> list[SockAddr]:
        self.asked.append(host)
        if host.startswith("hang"):
            assert self.released.wait(10)
        return [ADDRESS]


@contextmanager
def name_server() -> Iterator[NameServer]:
    server = NameServer()
    try:
        yield server
    finally:
        server.released.set()


async def test_hanging_look_ups_of_one_tenant_leave_other_tenants_unharmed() -> None:
    with name_server() as server:
        resolver = SystemResolver(look_up=server.look_up)
        async with trio.open_nursery() as nursery:
            for number in range(500):
                nursery.start_soon(resolver.resolve, f"hang{number}.example", 443, "acme")
            await wait_all_tasks_blocked()
            assert resolver.running == 3
            with trio.fail_after(1):
                for number in range(20):
                    assert await resolver.resolve(f"fine{number}.example", 443, "globex") == [ADDRESS]
            nursery.cancel_scope.cancel()
        server.released.set()
        with trio.fail_after(5):
            await resolver.resolve("last.example", 443, "acme")
    assert sum(host.startswith("hang") for host in server.asked) == 3, "the rest was cancelled before it began"


async def test_the_last_quarter_of_the_threads_is_for_tenants_that_have_none() -> None:
    with name_server() as server:
        resolver = SystemResolver(threads=8, per_tenant=3, look_up=server.look_up)
        async with trio.open_nursery() as nursery:
            for tenant in ("a", "b", "c"):
                for number in range(5):
                    nursery.start_soon(resolver.resolve, f"hang{number}.example", 443, tenant)
            await wait_all_tasks_blocked()
            assert resolver.running in (6, 7), "three quarters, and a first one of the tenant that had none"
            with trio.fail_after(1):
                assert await resolver.resolve("fine.example", 443, "d") == [ADDRESS]
            nursery.cancel_scope.cancel()


async def test_what_waits_for_a_thread_gets_it_when_one_is_free() -> None:
    with name_server() as server:
        resolver = SystemResolver(threads=4, per_tenant=1, look_up=server.look_up)
        answers: list[list[SockAddr]] = []

        async def ask(host: str) -> None:
            answers.append(await resolver.resolve(host, 443, "acme"))

        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                for host in ("hang1", "hang2", "fine1", "fine2"):
                    nursery.start_soon(ask, host)
                await wait_all_tasks_blocked()
                assert resolver.running == 1
                server.released.set()
    assert answers == [[ADDRESS]] * 4
    assert resolver.running == 0


async def test_equal_questions_asked_at_once_share_one_look_up_within_a_tenant() -> None:
    with name_server() as server:
        resolver = SystemResolver(look_up=server.look_up)
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                for tenant in ("acme", "acme", "acme", "globex"):
                    nursery.start_soon(resolver.resolve, "hang.example", 443, tenant)
                await wait_all_tasks_blocked()
                assert resolver.running == 2
                server.released.set()
        assert await resolver.resolve("hang.example", 443, "acme") == [ADDRESS]
    assert len(server.asked) == 3, "answers are not kept"


async def test_one_who_stops_waiting_does_not_take_the_answer_from_another() -> None:
    with name_server() as server:
        resolver = SystemResolver(look_up=server.look_up)
        answers: list[list[SockAddr]] = []

        async def ask() -> None:
            answers.append(await resolver.resolve("hang.example", 443, "acme"))

        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                with trio.move_on_after(0.01):
                    nursery.start_soon(ask)
                    await resolver.resolve("hang.example", 443, "acme")
                server.released.set()
    assert answers == [[ADDRESS]]


async def test_a_question_is_asked_again_when_the_last_look_up_has_hung_for_long(
    autojump_clock: trio.testing.MockClock,
) -> None:
    with name_server() as server:
        resolver = SystemResolver(look_up=server.look_up)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(resolver.resolve, "hang.example", 443, "acme")
            await trio.sleep(1.5)
            nursery.start_soon(resolver.resolve, "hang.example", 443, "acme")
            await wait_all_tasks_blocked()
            assert resolver.running == 2
            nursery.cancel_scope.cancel()


async def test_a_name_that_hangs_takes_two_threads_however_often_it_is_asked_for(
    autojump_clock: trio.testing.MockClock,
) -> None:
    with name_server() as server:
        resolver = SystemResolver(look_up=server.look_up)
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(resolver.resolve, "hang.example", 443, "acme")
                await trio.sleep(0.5)
            assert resolver.running == 2
            assert await resolver.resolve("fine.example", 443, "acme") == [ADDRESS]
            nursery.cancel_scope.cancel()


async def test_names_that_hang_leave_one_that_answered_promptly_its_thread(
    autojump_clock: trio.testing.MockClock,
) -> None:
    with name_server() as server:
        resolver = SystemResolver(look_up=server.look_up)
        assert await resolver.resolve("fine.example", 443, "acme") == [ADDRESS]
        async with trio.open_nursery() as nursery:
            for number in range(200):
                nursery.start_soon(resolver.resolve, f"hang{number % 50}.example", 443, "acme")
                if number % 10 == 0:
                    await trio.sleep(0.7)
                    assert await resolver.resolve("fine.example", 443, "acme") == [ADDRESS]
            nursery.cancel_scope.cancel()


async def test_names_that_are_known_to_hang_leave_a_new_one_its_thread(
    autojump_clock: trio.testing.MockClock,
) -> None:
    with name_server() as server:
        resolver = SystemResolver(look_up=server.look_up)
        hanging = [f"hang{number}.example" for number in range(3)]
        async with trio.open_nursery() as nursery:
            for host in hanging:
                nursery.start_soon(resolver.resolve, host, 443, "acme")
            await trio.sleep(1.5)
            server.released.set()
        server.released.clear()
        async with trio.open_nursery() as nursery:
            for host in hanging:
                nursery.start_soon(resolver.resolve, host, 443, "acme")
            await wait_all_tasks_blocked()
            assert resolver.running == 2
            assert await resolver.resolve("new.example", 443, "acme") == [ADDRESS]
            nursery.cancel_scope.cancel()


async def test_a_slow_answer_reaches_those_who_asked_while_it_was_awaited(
    autojump_clock: trio.testing.MockClock,
) -> None:
    with name_server() as server:
        resolver = SystemResolver(per_tenant=1, look_up=server.look_up)
        answers: list[list[SockAddr]] = []

        async def ask() -> None:
            answers.append(await resolver.resolve("hang.example", 443, "acme"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.sleep(1.5)
            nursery.start_soon(ask)
            await wait_all_tasks_blocked()
            server.released.set()
    assert answers == [[ADDRESS]] * 2
    assert server.asked == ["hang.example"]


def no_thread(*_: object) -> None:
    raise RuntimeError("can't start new thread")


async def test_a_thread_that_cannot_be_started_is_our_fault_and_costs_no_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with name_server() as server:
        resolver = SystemResolver(look_up=server.look_up)
        with monkeypatch.context() as patched:
            patched.setattr(trio.lowlevel, "start_thread_soon", no_thread)
            for number in range(10):
                with pytest.raises(LocalFault, match=r"hooks\.example .* thread"):
                    await resolver.resolve("hooks.example", number, "acme")
        assert resolver.running == 0
        with trio.fail_after(5):
            assert await resolver.resolve("hooks.example", 443, "acme") == [ADDRESS]


async def test_those_who_waited_for_a_thread_that_cannot_be_started_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with name_server() as server:
        resolver = SystemResolver(per_tenant=1, look_up=server.look_up)
        told: list[LocalFault] = []

        async def ask(host: str) -> None:
            try:
                await resolver.resolve(host, 443, "acme")
            except LocalFault as fault:
                told.append(fault)

        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                for host in ("hang1.example", "hang2.example", "hang3.example"):
                    nursery.start_soon(ask, host)
                await wait_all_tasks_blocked()
                monkeypatch.setattr(trio.lowlevel, "start_thread_soon", no_thread)
                server.released.set()
    assert len(told) == 2
    assert resolver.running == 0


def failing(error: Exception) -> SystemResolver:
    def look_up(host: str, port: int) -> list[SockAddr]:
        raise error

    return SystemResolver(look_up=look_up)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (socket.gaierror(socket.EAI_NONAME, "x"), "does not exist"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "did not answer"),
        (socket.gaierror(socket.EAI_FAIL, "x"), "failed"),
        (socket.gaierror(-99, "x"), "could not be looked up"),
        (OSError(errno.EIO, "x"), "could not be looked up"),
        (UnicodeError("x"), "not a name"),
    ],
)
async def test_a_look_up_that_fails_says_why(error: Exception, said: str) -> None:
    with pytest.raises(EgressError, match=said) as caught:
        await failing(error).resolve("hooks.example", 443, "acme")
    assert caught.value.code == "dns_failed"
    assert "hooks.example" in caught.value.detail


async def test_all_who_share_a_look_up_that_fails_are_told() -> None:
    resolver = failing(socket.gaierror(socket.EAI_NONAME, "x"))
    told: list[EgressError] = []

    async def ask() -> None:
        try:
            await resolver.resolve("hooks.example", 443, "acme")
        except EgressError as error:
            told.append(error)

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(ask)
    assert len({id(error) for error in told}) == 3


async def test_an_empty_answer_is_a_failed_look_up() -> None:
    with pytest.raises(EgressError, match="no address"):
        await SystemResolver(look_up=lambda host, port: []).resolve("hooks.example", 443, "acme")


async def test_an_answer_with_hundreds_of_addresses_is_refused_whole() -> None:
    def look_up(host: str, port: int) -> list[SockAddr]:
        return [(f"192.0.2.{number}", port) for number in range(int(host))]

    resolver = SystemResolver(look_up=look_up)
    assert len(await resolver.resolve("128", 443, "acme")) == 128
    with pytest.raises(EgressError, match="129 has 129 addresses") as caught:
        await resolver.resolve("129", 443, "acme")
    assert caught.value.code == "dns_failed"


@pytest.mark.parametrize("error", [socket.gaierror(socket.EAI_MEMORY, "x"), OSError(errno.EMFILE, "x")])
async def test_a_look_up_that_fails_for_our_lack_of_means_is_our_fault(error: OSError) -> None:
    with pytest.raises(LocalFault):
        await failing(error).resolve("hooks.example", 443, "acme")


@pytest.mark.parametrize("code", ["EMFILE", "ENFILE", "ENOMEM", "ENOBUFS", "EADDRNOTAVAIL", "ENETDOWN"])
def test_our_own_exhaustion_is_local(code: str) -> None:
    assert is_local(OSError(getattr(errno, code), "x"))


@pytest.mark.parametrize("code", ["ECONNREFUSED", "ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH", "EPERM", "ECONNRESET"])
def test_faults_on_the_way_are_not_local(code: str) -> None:
    assert not is_local(OSError(getattr(errno, code), "x"))
