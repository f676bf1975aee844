"""One tenant's flood of requests leaves room for the others (CONTRACT §7, §8.4)."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import trio
from api_house import house, problem, session

from daemon.persistence.commands import CreateWebhook

if TYPE_CHECKING:
    from pathlib import Path


async def test_large_bodies_of_one_tenant_are_bounded_and_do_not_hinder_another(tmp_path: Path) -> None:
    async with house(tmp_path) as api, AsyncExitStack() as stack:
        hostile, honest = await api.tenant("hostile"), await api.tenant("honest")
        host, _, port = api.addresses["main"].rpartition(":")
        head = (
            f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {hostile}\r\nContent-Length: 300000\r\n\r\n"
        )
        for _ in range(32):
            stream = await stack.enter_async_context(await trio.open_tcp_stream(host, int(port)))
            await stream.send_all(head.encode() + b" " * 200_000)
        large = b" " * 100_000
        while (answer := await api.ask("POST", "/v1/events", token=hostile, content=large)).status_code != 503:
            await trio.lowlevel.checkpoint()
        assert problem(answer)[1] == "backlog-full"
        assert "retry-after" in answer.headers
        assert (await api.ask("POST", "/v1/events", session(), token=hostile)).status_code == 202
        assert (await api.ask("POST", "/v1/events", token=honest, content=large)).status_code == 400
        assert (await api.ask("POST", "/v1/events", content=large)).status_code == 400


async def test_large_answers_that_nobody_reads_count_until_their_connection_ends(tmp_path: Path) -> None:
    async with house(tmp_path) as api:
        hostile, honest = await api.tenant("hostile"), await api.tenant("honest")
        for name, count in (("hostile", 1000), ("honest", 40)):
            owner = api.store.registry.tenant_by_id(name)
            assert owner is not None
            command = CreateWebhook(owner.seq, "https://example.com/" + "x" * 2000, None, (), False, b"k" * 32)
            async with trio.open_nursery() as nursery:
                for _ in range(count):
                    nursery.start_soon(api.store.execute, command, 5)
        host, _, port = api.addresses["main"].rpartition(":")
        head = f"GET /v1/webhooks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {hostile}\r\n\r\n"
        async with AsyncExitStack() as stack:
            for _ in range(40):
                sock = stack.enter_context(trio.socket.socket())
                sock.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, 4096)
                await sock.connect((host, int(port)))
                await sock.send(head.encode())
            while (answer := await api.ask("GET", "/v1/webhooks", token=hostile)).status_code == 200:
                await trio.lowlevel.checkpoint()
            assert problem(answer)[1] == "backlog-full"
            assert (await api.ask("GET", "/v1/webhooks?limit=1", token=hostile)).status_code == 200
            assert (await api.ask("GET", "/v1/webhooks", token=honest)).status_code == 200
        while (await api.ask("GET", "/v1/webhooks", token=hostile)).status_code != 200:
            await trio.lowlevel.checkpoint()
