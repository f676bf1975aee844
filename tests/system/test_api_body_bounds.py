"""How much of a body is read: what its route may need, and an answer that says how much that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from api_house import House, house, problem

from daemon.front_end.decoding import NO_BODY
from daemon.front_end.routes import ROUTES
from daemon.front_end.routing import paths_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MOST = 65_536
DETAIL = "The body has more than 65536 bytes, which is the most that this route takes. Send less."
BODIES = [(route.method, path) for route in ROUTES if route.body is not NO_BODY for path in paths_of(route)]
LARGE = ("POST", "/v1/events")


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as running:
        yield running


@pytest.mark.parametrize(("method", "path"), [one for one in BODIES if one != LARGE])
async def test_a_body_over_the_limit_of_its_route_is_refused_before_it_is_decoded(
    api: House, method: str, path: str
) -> None:
    webhook = await api.webhook(await api.tenant("acme"))
    place = path.format(id="acme" if path.startswith("/v1/tenants") else webhook["id"])
    fits = await api.ask(method, place, content=b" " * MOST)
    assert problem(fits)[:2] == (400, "not-json")
    over = await api.ask(method, place, content=b" " * (MOST + 1))
    assert problem(over)[:2] == (413, "too-large")
    assert over.json()["detail"] == DETAIL


ANNOUNCED = b"content-length: 65537\r\n\r\n"
PASSED = b"transfer-encoding: chunked\r\n\r\n10001\r\n" + b" " * (MOST + 1)


@pytest.mark.parametrize("rest", [ANNOUNCED, PASSED], ids=["announced", "passed"])
async def test_a_body_is_refused_at_the_length_that_is_announced_or_where_it_is_passed(api: House, rest: bytes) -> None:
    head = f"POST /v1/webhooks HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {await api.tenant()}\r\n"
    host, port = api.addresses["main"].rsplit(":", 1)
    async with await trio.open_tcp_stream(host, int(port)) as stream:
        await stream.send_all(head.encode() + rest)
        # Its end has not been sent, and is not waited for.
        assert (await stream.receive_some(12)) == b"HTTP/1.1 413"


async def test_a_publish_takes_as_much_as_the_setting_says(api: House) -> None:
    token = await api.tenant()
    fits = await api.ask(*LARGE, token=token, content=b" " * 4_194_304)
    assert problem(fits)[:2] == (400, "not-json")
    over = await api.ask(*LARGE, token=token, content=b" " * 4_194_305)
    assert problem(over)[:2] == (413, "too-large")
    assert "4194304 bytes (server.max_body_bytes)" in over.json()["detail"]
