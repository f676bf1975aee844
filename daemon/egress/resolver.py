"""Names to addresses: the system's resolver in threads of its own, shared fairly.

`getaddrinfo` cannot be cancelled: a name server that never answers holds a thread for as long as the system's resolver
likes. So threads are counted by tenant, and equal questions asked at the same moment share one.
"""

from __future__ import annotations

import os
import socket
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

import trio
from msgspec import Struct

from daemon.egress.faults import EgressError, LocalFault, is_local

if TYPE_CHECKING:
    from collections.abc import Callable

    import outcome

SockAddr = tuple[str, int] | tuple[str, int, int, int]
Question = tuple[str, str, int]

THREADS: Final = 256
THREADS_PER_TENANT: Final = 4
THREADS_PER_NAME: Final = 2
# Each must be checked, on the event loop. An answer can have thousands: 20 to 70 ms in which nothing else happens.
MOST_ADDRESSES: Final = 128
PROMPT: Final = 1.0
"""Seconds in which the look-up of a prompt name ends."""
_KNOWN: Final = 16_384


class Resolver(Protocol):
    async def resolve(self, host: str, port: int, tenant: str) -> list[SockAddr]:
        """The addresses of `host`, at least one, in the order they should be tried.

        Raises EgressError (`dns_failed`) or LocalFault. Has no deadline of its own; cancellation leaves nothing."""
        ...


def look_up(host: str, port: int) -> list[SockAddr]:
    """Blocking `getaddrinfo`, each address once, in the system's order (RFC 6724). Raises OSError."""
    # As bytes: a str would go through Python's old IDNA codec.
    found = socket.getaddrinfo(host.encode("ascii"), port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    wanted = (socket.AF_INET, socket.AF_INET6)
    addresses: dict[SockAddr, None] = {}
    for family, _, _, _, address in found:
        if family in wanted:
            addresses[address] = None  # type: ignore[index]  # typeshed's union has a third kind, for no-IPv6 builds
    return list(addresses)


class _Failed(Struct, frozen=True):
    """Everybody who asked gets an exception of their own."""

    detail: str
    ours: bool = False

    def error(self) -> EgressError | LocalFault:
        return LocalFault(self.detail) if self.ours else EgressError("dns_failed", self.detail)


_Answer = list[SockAddr] | _Failed


class _LookUp:
    __slots__ = ("answer", "done", "prompt", "question", "since", "started", "waiting")

    def __init__(self, question: Question, prompt: bool | None) -> None:
        self.question = question
        self.prompt = prompt
        self.since = 0.0
        self.done = trio.Event()
        self.started = False
        self.waiting = 0
        self.answer: _Answer | None = None

    @property
    def age(self) -> float:
        """Seconds since it was started."""
        return trio.current_time() - self.since


class SystemResolver:
    """`Resolver` on `look_up`. At most `threads` look-ups run, `per_tenant` of one tenant; the last quarter is open
    only to tenants that have none running, and a free thread goes to the waiting tenant with the fewest.

    A tenant's last thread is open only to names whose last look-up took no more than a second, the last but one also to
    names never looked up, and a name has two at most: those that hang leave the others theirs. Which are prompt is
    remembered of the last 16,384. Within these bounds who asked first goes first.

    A look-up that everybody has stopped waiting for never begins; one that runs goes on, counted, until it ends."""

    def __init__(
        self,
        *,
        threads: int = THREADS,
        per_tenant: int = THREADS_PER_TENANT,
        look_up: Callable[[str, int], list[SockAddr]] = look_up,
    ) -> None:
        self._threads = threads
        self._per_tenant = per_tenant
        self._look_up = look_up
        self._shared: dict[Question, _LookUp] = {}
        self._queued: dict[str, list[_LookUp]] = {}
        self._running: dict[str, list[_LookUp]] = {}
        self._total = 0
        self._prompt: OrderedDict[Question, bool] = OrderedDict()

    @property
    def running(self) -> int:
        """Threads in use."""
        return self._total

    async def resolve(self, host: str, port: int, tenant: str) -> list[SockAddr]:
        question = (tenant, host, port)
        look_up = self._shared.get(question)
        if look_up is None or self._may_be_asked_again(look_up):
            look_up = self._begin(question)
        look_up.waiting += 1
        try:
            await look_up.done.wait()
        finally:
            look_up.waiting -= 1
            if not look_up.waiting and not look_up.started:
                self._forget(look_up)
        answer = look_up.answer
        assert answer is not None
        if isinstance(answer, _Failed):
            raise answer.error()
        return answer

    def _may_be_asked_again(self, look_up: _LookUp) -> bool:
        """One that has been running for long may hang on a name server that has come back since."""
        if not look_up.started or look_up.age <= PROMPT:
            return False
        tenant = look_up.question[0]
        alike = sum(each.question == look_up.question for each in self._running[tenant])
        return alike < THREADS_PER_NAME and self._may_run(tenant, prompt=False)

    def _begin(self, question: Question) -> _LookUp:
        look_up = self._shared[question] = _LookUp(question, self._prompt.get(question))
        tenant = question[0]
        if self._may_run(tenant, look_up.prompt):
            self._start(look_up)
        else:
            self._queued.setdefault(tenant, []).append(look_up)
        return look_up

    def _may_run(self, tenant: str, prompt: bool | None) -> bool:
        running = self._running.get(tenant, ())
        if self._total >= self._threads or len(running) >= self._per_tenant:
            return False
        if running and self._total >= self._threads * 3 // 4:
            return False
        if prompt:
            return True
        unsure = sum(not each.prompt or each.age > PROMPT for each in running)
        return unsure < max(1, self._per_tenant - (1 if prompt is None else 2))

    def _start(self, look_up: _LookUp) -> None:
        tenant, host, port = look_up.question
        token = trio.lowlevel.current_trio_token()

        def answered(answer: outcome.Outcome[list[SockAddr]]) -> None:
            with suppress(trio.RunFinishedError):
                token.run_sync_soon(self._finish, look_up, answer)

        look_up.started = True
        try:
            trio.lowlevel.start_thread_soon(lambda: self._look_up(host, port), answered, "look-up")
        except RuntimeError:
            self._answer(look_up, _Failed(f"{host} could not be looked up: no thread can be started.", ours=True))
            return
        look_up.since = trio.current_time()
        self._running.setdefault(tenant, []).append(look_up)
        self._total += 1

    def _finish(self, look_up: _LookUp, answer: outcome.Outcome[list[SockAddr]]) -> None:
        tenant = look_up.question[0]
        self._answer(look_up, _judged(look_up.question[1], answer))
        self._note(look_up.question, look_up.age <= PROMPT)
        self._total -= 1
        self._running[tenant].remove(look_up)
        if not self._running[tenant]:
            del self._running[tenant]
        self._start_waiting(tenant)

    def _answer(self, look_up: _LookUp, answer: _Answer) -> None:
        look_up.answer = answer
        look_up.done.set()
        if self._shared.get(look_up.question) is look_up:
            del self._shared[look_up.question]

    def _note(self, question: Question, prompt: bool) -> None:
        self._prompt[question] = prompt
        self._prompt.move_to_end(question)
        if len(self._prompt) > _KNOWN:
            self._prompt.popitem(last=False)

    def _start_waiting(self, freed: str) -> None:
        # Below three quarters nobody waited but for a thread of its own tenant.
        crowded = self._total + 1 >= self._threads * 3 // 4
        while able := [
            look_up for tenant in (self._queued if crowded else (freed,)) if (look_up := self._next(tenant)) is not None
        ]:
            look_up = min(able, key=lambda each: len(self._running.get(each.question[0], ())))
            self._dequeue(look_up)
            self._start(look_up)

    def _next(self, tenant: str) -> _LookUp | None:
        """The first of the tenant's that may run now."""
        queue = self._queued.get(tenant)
        if not queue or not self._may_run(tenant, prompt=True):
            return None
        able = {prompt for prompt in (True, None, False) if self._may_run(tenant, prompt)}
        return next((look_up for look_up in queue if look_up.prompt in able), None)

    def _forget(self, look_up: _LookUp) -> None:
        self._dequeue(look_up)
        if self._shared.get(look_up.question) is look_up:
            del self._shared[look_up.question]

    def _dequeue(self, look_up: _LookUp) -> None:
        tenant = look_up.question[0]
        queue = self._queued[tenant]
        queue.remove(look_up)
        if not queue:
            del self._queued[tenant]


def _judged(host: str, answer: outcome.Outcome[list[SockAddr]]) -> _Answer:
    try:
        addresses = answer.unwrap()
    except socket.gaierror as error:
        if error.errno == socket.EAI_MEMORY or not _has_descriptors():
            return _Failed(f"{host} could not be looked up: no memory or no descriptor left.", ours=True)
        return _Failed(f"{host} {_GAIERROR.get(error.errno or 0, _OTHERWISE)}.")
    except OSError as error:
        return _Failed(f"{host} {_OTHERWISE}: {os.strerror(error.errno or 0).lower()}.", ours=is_local(error))
    except UnicodeError:
        return _Failed(f"{host} is not a name that can be looked up.")
    if len(addresses) > MOST_ADDRESSES:
        return _Failed(f"{host} has {len(addresses)} addresses; a name with more than {MOST_ADDRESSES} is not used.")
    return addresses or _Failed(f"{host} {_GAIERROR[socket.EAI_NONAME]}.")


def _has_descriptors() -> bool:
    """The system's resolver says "no such name" when it cannot open its own socket."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
    except OSError:
        return False
    return True


_OTHERWISE = "could not be looked up"
_GAIERROR = {
    socket.EAI_NONAME: "does not exist, or has no address",
    socket.EAI_NODATA: "has no address",
    socket.EAI_AGAIN: "could not be looked up: its name server did not answer",
    socket.EAI_FAIL: "could not be looked up: its name server failed",
}
