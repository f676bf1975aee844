"""One tenant's flood of requests leaves room for the others (CONTRACT §7, §8.4)."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import trio
from api_house import house, problem, session

if TYPE_CHECKING:
    from pathlib import Path


async def test_large_bodies_of_one_tenant_are_bounded_and_do_not_hinder_another(tmp_path: Path) -> None:
    async with house(tmp_path) as api, AsyncExitStack() as stack:
        hostile, honest = await api.tenant("hostile"), await api.tenant("honest")
        host, _, port = api.addresses["main"].rpartition(":")
        head = (
            f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {hostile}\r\nContent-Length: 300000\r\n\r\n"
        )
        for _ in range(16):
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
