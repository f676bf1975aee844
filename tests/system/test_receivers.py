"""Receivers that integrators run today: they answer 200 at once and work later, and need nothing new."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.events import session_event
from harness.foreign import Ledger, node_receiver
from harness.receiver import OK, answers, response

if TYPE_CHECKING:
    from pathlib import Path

    from harness.receiver import Connection
    from harness.starting import Daemons, Receivers

EVENTS = 40

EXPRESS = response(
    """HTTP/1.1 200 OK
X-Powered-By: Express
Content-Type: text/html; charset=utf-8
Content-Length: 2
ETag: W/"2-nOO9QiTIwXgNtWtBJezz8kv3SLc"
Date: Tue, 21 Oct 2025 11:00:00 GMT
Connection: keep-alive
Keep-Alive: timeout=5""",
    b"OK",
)
KESTREL = response(
    """HTTP/1.1 200 OK
Content-Type: text/plain; charset=utf-8
Date: Tue, 21 Oct 2025 11:00:00 GMT
Server: Kestrel
Transfer-Encoding: chunked""",
    b"2\r\nOK\r\n0\r\n\r\n",
)


async def test_receivers_that_answer_like_express_and_kestrel_get_each_event_once(
    daemons: Daemons, receivers: Receivers
) -> None:
    daemon = await daemons.start()
    kinds = {"express": await receivers.start(answers(EXPRESS)), "kestrel": await receivers.start(answers(KESTREL))}
    acme = await daemon.tenant()
    for kind, receiver in kinds.items():
        await acme.register(receiver.url, name=kind)
    events = await acme.publish(*[session_event(f"s-{n}") for n in range(EVENTS)])
    deliveries = await acme.finished(events)
    assert {(delivery["status"], delivery["statusCode"]) for delivery in deliveries} == {("succeeded", 200)}
    for receiver in kinds.values():
        assert sorted(request.header("webhook-id") for request in receiver.requests) == sorted(e["id"] for e in events)
        assert receiver.connections < EVENTS, "their connections are kept and used again"
    one = await acme.delivery(deliveries[0]["id"])
    assert one["responseBody"] == "OK"


async def test_a_node_server_that_works_later_gets_each_event_once(daemons: Daemons, tmp_path: Path) -> None:
    daemon = await daemons.start()
    ledger = Ledger(tmp_path / "ledger")
    async with node_receiver(ledger) as port:
        acme = await daemon.tenant()
        await acme.register(f"http://127.0.0.1:{port}/hook")
        events = await acme.publish(*[session_event(f"s-{n}") for n in range(EVENTS)])
        deliveries = await acme.finished(events)
        await ledger.reaches(EVENTS, within=10)
    assert {(delivery["status"], delivery["statusCode"]) for delivery in deliveries} == {("succeeded", 200)}
    assert ledger.arrivals() == {("/hook", event["id"]): 1 for event in events}


async def test_a_delivery_says_whether_its_connection_was_used_before_also_when_that_was_lost(
    daemons: Daemons, receivers: Receivers
) -> None:
    async def leaves_the_third_unanswered(connection: Connection) -> None:
        for _ in range(2):
            await connection.request()
            await connection.send(OK)
        await connection.request()

    daemon = await daemons.start({"delivery": {"keep_alive": 60}})
    acme, receiver = await daemon.tenant(), await receivers.start(leaves_the_third_unanswered)
    await acme.register(receiver.url)
    found: list[tuple[str | None, bool]] = []
    for _ in range(3):
        (ended,) = await acme.finished(await acme.publish(session_event("s-1")))
        delivery = await acme.delivery(ended["id"])
        found.append((delivery["error"], delivery["reusedConnection"]))
    assert found == [(None, False), (None, True), ("connection_lost", True)]
    assert (receiver.connections, len(receiver.requests)) == (1, 3)
