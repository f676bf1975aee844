"""A store and a network made of memory, for the delivery actors on trio's mock clock."""

from __future__ import annotations

import inspect
from collections import Counter, defaultdict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import trio

from daemon.delivery.router import Router
from daemon.egress.faults import EgressError, LocalFault
from daemon.model import Claimed, Endpoint
from daemon.persistence.commands import Bound, Claim, Progress, Progressed
from daemon.settings import DeliverySettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from daemon.egress.exchange import Exchange
    from daemon.egress.express import Caller, Flight
    from daemon.egress.response import ResponseReader
    from daemon.model import Outcome


class Bulletin:
    """Wakes whoever watches plain values whenever one may have changed."""

    def __init__(self) -> None:
        self._news = trio.Event()

    def post(self) -> None:
        self._news.set()
        self._news = trio.Event()

    async def until(self, done: Callable[[], bool], seconds: float) -> None:
        with trio.fail_after(seconds):
            while not done():
                await self._news.wait()


class Store:
    """Deliveries with their states. Checks what any store may rely on: one step at a time per tenant, nothing
    reported that was not claimed, no claim without a webhook."""

    def __init__(self, bulletin: Bulletin) -> None:
        self._bulletin = bulletin
        self.latency = 0.0
        self.endpoints: dict[int, Endpoint] = {}
        self.limits: dict[int, int] = {}
        self.owner: dict[int, int] = {}
        self.rows: dict[int, Claimed] = {}
        self.states: dict[int, str] = {}
        self.outcomes: dict[int, Outcome] = {}
        self.claims: Counter[int] = Counter()
        self.steps: list[Progress] = []
        self.step_times: list[float] = []
        self.removed: set[int] = set()
        self.gate: trio.Event | None = None
        self._stepping: set[int] = set()

    def add_webhook(self, tenant: int, webhook: int, url: str = "http://good.example/") -> None:
        self.owner[webhook] = tenant
        self.endpoints[webhook] = Endpoint(webhook, f"w{webhook:07d}", f"tenant-{tenant}", url, (b"k" * 32,))

    def accept(self, webhook: int, count: int = 1) -> dict[int, dict[int, int]]:
        """Store pending deliveries; returns what to offer."""
        for _ in range(count):
            seq = len(self.rows) + 1
            self.rows[seq] = Claimed(seq, webhook, f"dlv_{seq}", f"evt_{seq}", "onboard.session.completed", "{}", False)
            self.states[seq] = "pending"
        return {self.owner[webhook]: {webhook: count}}

    def count(self, state: str) -> int:
        return sum(known == state for known in self.states.values())

    async def progress(self, command: Progress) -> Progressed:
        assert command.tenant not in self._stepping, "two steps of one tenant at once"
        assert command.finished or command.postponed or command.claims, "an empty step"
        self._stepping.add(command.tenant)
        try:
            self.steps.append(command)
            self.step_times.append(trio.current_time())
            await trio.sleep(self.latency)
            while self.gate is not None:
                await self.gate.wait()
            return self._execute(command)
        finally:
            self._bulletin.post()
            self._stepping.discard(command.tenant)

    def _execute(self, command: Progress) -> Progressed:
        recorded: set[int] = set()
        for finished in command.finished:
            seq = finished.delivery.seq
            if seq in self.removed:
                continue
            assert self.states[seq] == "sending"
            self.states[seq] = finished.outcome.status
            self.outcomes[seq] = finished.outcome
            recorded.add(seq)
        bounds = {c.webhook: self._bound(c) for c in command.claims if c.webhook in self.limits}
        postponed = frozenset(delivery.seq for delivery in command.postponed if delivery.seq not in self.removed)
        for seq in postponed:
            assert self.states[seq] == "sending"
            self.states[seq] = "pending"
        claimed: list[Claimed] = []
        for claim in command.claims:
            assert claim.limit > 0
            assert self.owner[claim.webhook] == command.tenant
            waiting = [
                row for seq, row in self.rows.items() if self.states[seq] == "pending" and row.webhook == claim.webhook
            ]
            bound = bounds.get(claim.webhook)
            for row in waiting[: claim.limit if bound is None else bound.allowed]:
                self.states[row.seq] = "sending"
                self.claims[row.seq] += 1
                claimed.append(row)
        endpoints = {row.webhook: self.endpoints[row.webhook] for row in claimed}
        return Progressed(frozenset(recorded), postponed, claimed, endpoints, bounds)

    def _bound(self, claim: Claim) -> Bound:
        """What is about to be put back is older than anything that could be claimed, and counts."""
        most = self.limits[claim.webhook]
        sending = sum(self.states[seq] == "sending" and row.webhook == claim.webhook for seq, row in self.rows.items())
        return Bound(most, min(claim.limit, max(0, most - sending)))


def sent_headers(request: httpx.Request) -> dict[str, str]:
    """What the request says, beside its request line."""
    _, *lines = request.extensions["head"].decode().splitlines()
    return dict(line.split(": ", 1) for line in lines)


class Network:
    """Answers by host name: `good`, `slow`, `hangs` (after writing), `drips` (its body), `stuck` (before writing),
    `refuses`, `broke` (a fault of ours), `bug`; others through `hosts`. Counts what runs at once."""

    def __init__(self, bulletin: Bulletin) -> None:
        self._bulletin = bulletin
        self.requests: list[httpx.Request] = []
        self.times: list[float] = []
        self.running: Counter[tuple[str, object]] = Counter()
        self.most: Counter[tuple[str, object]] = Counter()
        self.most_by_kind: defaultdict[str, int] = defaultdict(int)
        self.pace = 0.01
        self.hosts: dict[str, Callable[..., object]] = {}

    def sent(self, webhook: int) -> int:
        return sum(request.extensions["exchange"].key == webhook for request in self.requests)

    def answer_well(self) -> httpx.Response:
        return httpx.Response(200)

    def launch(self, url: str, head: bytes, body: bytes, exchange: Exchange, caller: Caller) -> None:
        """No connection is ever kept."""

    async def finish(self, flight: Flight) -> ResponseReader:
        raise AssertionError

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        exchange: Exchange = request.extensions["exchange"]
        self.requests.append(request)
        self.times.append(trio.current_time())
        self._bulletin.post()
        counted = [("webhook", exchange.key), ("tenant", exchange.tenant), ("all", None)]
        for key in counted:
            self.running[key] += 1
            self.most[key] = max(self.most[key], self.running[key])
            self.most_by_kind[key[0]] = max(self.most_by_kind[key[0]], self.running[key])
        try:
            with trio.move_on_at(exchange.deadline):
                return await self._answer(request, exchange)
            raise EgressError("response_timeout", "There was no answer in time.")
        finally:
            for key in counted:
                self.running[key] -= 1

    async def _answer(self, request: httpx.Request, exchange: Exchange) -> httpx.Response:
        await trio.lowlevel.checkpoint()
        host = request.url.host.split(".")[0]
        if host in self.hosts:
            answer = self.hosts[host](request, exchange)
            return await answer if inspect.isawaitable(answer) else answer
        if host == "stuck":
            await trio.sleep_forever()
        if host == "broke":
            raise LocalFault("no file descriptor is left")
        if host == "bug":
            raise ZeroDivisionError("a bug of ours")
        if host == "refuses":
            raise EgressError("connect_refused", "Nobody listens there.")
        exchange.wrote = True
        if host == "drips":
            exchange.status = 204
        if host in ("hangs", "drips"):
            await trio.sleep_forever()
        await trio.sleep(1.0 if host == "slow" else self.pace)
        exchange.total = 10.0
        return httpx.Response(200, headers=[(b"content-type", b"text/plain")], content=b"ok")


class Counts:
    """The counters that the journal moves."""

    def __init__(self) -> None:
        self.attempts: list[Outcome] = []
        self.interruptions = 0
        self.postponements = 0

    def attempt(self, endpoint: Endpoint, outcome: Outcome) -> None:
        self.attempts.append(outcome)

    def interrupted(self, count: int, tenant: str) -> None:
        self.interruptions += count

    def postponed(self, count: int) -> None:
        self.postponements += count


class Stage:
    """A router between a store and a network."""

    def __init__(self, settings: DeliverySettings) -> None:
        self._bulletin = Bulletin()
        self.store = Store(self._bulletin)
        self.network = Network(self._bulletin)
        self.counts = Counts()
        self.router = Router(self.store, self.network, settings, self.counts)
        self.ended = trio.Event()

    def publish(self, webhook: int, count: int = 1) -> None:
        self.router.offer(self.store.accept(webhook, count))

    async def run(self, *, task_status: trio.TaskStatus[None]) -> None:
        await self.router.run(task_status=task_status)
        self.ended.set()

    async def until(self, done: Callable[[], bool], seconds: float = 60) -> None:
        """Until something holds of what the store recorded and the network was sent."""
        await self._bulletin.until(done, seconds)

    async def settled(self, seconds: float = 60) -> None:
        """Until nothing is pending or being sent."""
        await self.until(lambda: not (self.store.count("pending") or self.store.count("sending")), seconds)

    async def drained(self, patience: float = 0, seconds: float = 5) -> None:
        """Drain, with `patience` seconds for what runs, and wait for the end, `seconds` more at most."""
        self.router.drain(trio.current_time() + patience)
        with trio.fail_after(patience + seconds):
            await self.ended.wait()


@asynccontextmanager
async def running(settings: DeliverySettings | None = None) -> AsyncIterator[Stage]:
    """A running router, drained at the end."""
    stage = Stage(settings or DeliverySettings())
    async with trio.open_nursery() as nursery:
        await nursery.start(stage.run)
        yield stage
        await stage.drained()
    assert stage.router.in_flight == 0
    assert stage.router.actors == 0
