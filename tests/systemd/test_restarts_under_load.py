"""systemd holds the socket: a restart under load refuses nobody, loses nothing and sends nothing twice."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import httpx
import trio
from harness.api import Api
from harness.events import session_event
from harness.foreign import Ledger, counting_receiver
from harness.waiting import eventually
from service import URL

if TYPE_CHECKING:
    from pathlib import Path

    from service import Service

PUBLISHERS = 16
RESTARTS = 5
PUBLISHED_BETWEEN = 100


class _Whole(httpx.AsyncByteStream):
    """A body in one piece. httpx's own is a generator, which a connection that breaks amid leaves for the collector to
    complain of."""

    def __init__(self, body: bytes) -> None:
        self._left = [body]

    def __aiter__(self) -> _Whole:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


@dataclass
class Load:
    """What publishers saw. Each makes a connection for every request, and asks once."""

    token: str
    promised: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    longest: float = 0.0
    over: bool = False

    async def publish(self, name: str) -> None:
        number = 0
        while not self.over:
            number += 1
            key = f"{name}-{number}"
            since = time.monotonic()
            api = Api(URL, self.token)
            try:
                request = api.client.build_request("POST", "/v1/events", json=session_event(key, key=key))
                request.stream = _Whole(request.content)
                answer = await api.client.send(request)
            except httpx.TransportError as error:
                self.refused.append(f"{key}: {error!r}")
                continue
            finally:
                await api.aclose()
            self.longest = max(self.longest, time.monotonic() - since)
            if answer.status_code == 202:
                self.promised.append(answer.json()["id"])
            else:
                self.refused.append(f"{key}: {answer.status_code} {answer.text}")

    async def goes_on(self) -> None:
        """Wait until some more have been promised."""
        before = len(self.promised)

        async def more() -> bool:
            return len(self.promised) >= before + PUBLISHED_BETWEEN

        await eventually(more, "publishing goes on", within=60)


async def test_restarts_under_load_refuse_no_connection_lose_nothing_and_double_nothing(
    service: Service, tmp_path: Path
) -> None:
    ledger = Ledger(tmp_path / "ledger")
    async with counting_receiver(ledger, 0.02) as port:
        tenant = await service.tenant("restarted")
        await tenant.register(f"http://127.0.0.1:{port}/restarted")
        load = Load(tenant.client.headers["authorization"].split()[1])
        async with trio.open_nursery() as nursery:
            for number in range(PUBLISHERS):
                nursery.start_soon(load.publish, f"publisher{number}")
            for _ in range(RESTARTS):
                await load.goes_on()
                await trio.to_thread.run_sync(service.restart)
            await load.goes_on()
            load.over = True
        await ledger.reaches(len(load.promised), within=60)
        await tenant.settled(within=60)
        arrivals: Counter[str] = Counter()
        for (_, event), count in ledger.arrivals().items():
            arrivals[event] += count
    lost = [event for event in load.promised if not arrivals[event]]
    doubled = [event for event, count in arrivals.items() if count > 1]
    print(
        f"\n{RESTARTS} restarts under load: {len(load.promised)} published, {len(load.refused)} refused, "
        f"{len(lost)} lost, {len(doubled)} doubled; the longest answer took {load.longest:.1f} s"
    )
    assert not load.refused, Counter(text.partition(": ")[2] for text in load.refused)
    assert not lost
    assert not doubled
    assert len(arrivals) == len(load.promised)
