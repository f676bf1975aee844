"""SIGTERM, the lock, and what a copy of the database does when it is started (CONTRACT §8.2)."""

from __future__ import annotations

import socket
import sqlite3
import sys
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio
from harness.books import rows
from harness.daemon_process import run_command
from harness.events import session_event
from harness.hostile import port_that_answers_no_syn, takes_no_handshake
from harness.receiver import OK, answers_after, never_answers, response
from harness.waiting import eventually
from name_server import asking, name_server

if TYPE_CHECKING:
    import subprocess

    from harness.daemon_process import Daemon
    from harness.receiver import Behaviour, Connection
    from harness.starting import Daemons, Receivers

PATIENT = {"delivery": {"timeout": 60, "connect_timeout": 60, "drain_timeout": 60}}
IMPATIENT = {"delivery": {"timeout": 60, "connect_timeout": 60, "drain_timeout": 1, "max_concurrent_per_webhook": 2}}


async def refuses_connections(daemon: Daemon) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(daemon.bind) != 0


async def test_sigterm_closes_the_front_end_at_once_and_lets_attempts_finish(
    daemons: Daemons, receivers: Receivers
) -> None:
    gate = trio.Event()
    receiver = await receivers.start(answers_after(gate))
    daemon = await daemons.start(PATIENT)
    acme = await daemon.tenant()
    await acme.register(receiver.url)
    events = await acme.publish(*[session_event(f"s-{n}") for n in range(4)])
    await receiver.arrived(4)
    daemon.terminate()
    await daemon.log.wait("daemon.draining")
    await eventually(lambda: refuses_connections(daemon), "connections are refused", within=1)
    gate.set()
    assert await daemon.exit_code(within=5) == 0
    assert daemon.log.lines[-1]["event"] == "daemon.stopped"

    restarted = await daemons.start(PATIENT)
    deliveries = await restarted.operator().finished(events)
    assert {delivery["status"] for delivery in deliveries} == {"succeeded"}
    assert len(receiver.requests) == 4


async def test_what_outlasts_the_drain_is_interrupted_and_what_waited_is_sent_after_the_restart(
    daemons: Daemons, receivers: Receivers
) -> None:
    receiver = await receivers.start(never_answers)
    daemon = await daemons.start(IMPATIENT)
    acme = await daemon.tenant()
    webhook = await acme.register(receiver.url)
    events = await acme.publish(*[session_event(f"s-{n}") for n in range(5)])
    await receiver.arrived(2)
    daemon.terminate()
    assert await daemon.exit_code(within=1 + 5) == 0
    begun = {request.header("webhook-id") for request in receiver.requests}
    assert len(begun) == 2

    restarted = await daemons.start(IMPATIENT)
    await receiver.arrived(4)
    operator = restarted.operator()
    interrupted = await operator.deliveries(webhook["id"], status="interrupted")
    assert {delivery["event"] for delivery in interrupted} == begun
    sent = [request.header("webhook-id") for request in receiver.requests]
    assert len(set(sent)) == len(sent) == 4
    assert set(sent) <= {event["id"] for event in events}


@pytest.mark.parametrize(("head", "ends"), [("", "interrupted"), ("HTTP/1.1 200 OK", "succeeded")])
async def test_what_waits_over_a_kept_connection_is_ended_by_the_drain_too(
    daemons: Daemons, receivers: Receivers, head: str, ends: str
) -> None:
    async def once_well_then_hangs(connection: Connection) -> None:
        while await connection.request():
            await connection.send(OK)
            await connection.request()
            if head:
                await connection.send(response(f"{head}\nTransfer-Encoding: chunked"))
            await connection.until_closed()

    receiver = await receivers.start(once_well_then_hangs)
    daemon = await daemons.start(
        {"delivery": {**IMPATIENT["delivery"], "max_concurrent_per_webhook": 1, "keep_alive": 9}}
    )
    acme = await daemon.tenant()
    await acme.register(receiver.url)
    events = await acme.publish(session_event("s-1"), session_event("s-2"))
    await receiver.arrived(2)
    assert receiver.connections == 1
    daemon.terminate()
    assert await daemon.exit_code(within=1 + 5) == 0

    restarted = await daemons.start(IMPATIENT)
    newest_first = await restarted.operator().finished(events)
    assert [delivery["status"] for delivery in newest_first] == [ends, "succeeded"]
    assert len(receiver.requests) == 2


async def test_an_attempt_that_had_not_sent_a_byte_waits_for_the_next_start(
    daemons: Daemons, receivers: Receivers
) -> None:
    receiver = await receivers.start(takes_no_handshake)
    daemon = await daemons.start(IMPATIENT)
    acme = await daemon.tenant()
    webhook = await acme.register(receiver.url.replace("http:", "https:"))
    (event,) = await acme.publish(session_event("s-1"))
    await receiver.connected()
    daemon.terminate()
    assert await daemon.exit_code(within=1 + 5) == 0

    restarted = await daemons.start(IMPATIENT)
    await receiver.connected(2)
    (delivery,) = await restarted.operator().deliveries(webhook["id"])
    assert (delivery["event"], delivery["status"]) == (event["id"], "sending")


async def test_an_attempt_at_the_second_of_two_addresses_waits_for_the_next_start_too(
    daemons: Daemons, tmp_path: Path
) -> None:
    async def zone(name: str) -> list[str]:
        return ["127.0.0.1", "127.0.0.2"]

    with port_that_answers_no_syn("0.0.0.0") as port:
        async with name_server(zone) as server:
            daemon = await daemons.start(IMPATIENT, command=asking(server, tmp_path))
            acme = await daemon.tenant()
            await acme.register(f"http://twice.example:{port}/")
            await acme.publish(session_event("s-1"))

            async def tried() -> bool:
                return begins_to_connect(port, "127.0.0.2")

            await eventually(tried, "the second address is tried")
            daemon.terminate()
            assert await daemon.exit_code(within=1 + 5) == 0
    assert [row.status for row in rows(daemon.database)] == ["pending"]


def begins_to_connect(port: int, host: str) -> bool:
    """Whether a connection to `host` waits for its SYN's answer: state 02 in Linux's /proc/net/tcp."""
    wanted = f"{int.from_bytes(socket.inet_aton(host), sys.byteorder):08X}:{port:04X}"
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    return any(fields[2] == wanted and fields[3] == "02" for fields in lines)


async def test_a_request_that_was_sent_in_part_is_interrupted(daemons: Daemons, receivers: Receivers) -> None:
    receiver = await receivers.start(hangs_up_once_then_reads_nothing())
    daemon = await daemons.start(IMPATIENT)
    acme = await daemon.tenant()
    await acme.register(receiver.url)
    (failed,) = await acme.finished(await acme.publish(session_event("s-1")))
    daemon.terminate()
    assert await daemon.exit_code() == 0
    # More than the kernel's buffers take, which no event that can be published is.
    with closing(sqlite3.connect(daemon.database)) as db, db:
        db.execute("UPDATE events SET payload = ?", ["a" * 16_000_000])

    restarted = await daemons.start(IMPATIENT)
    await restarted.operator().ask("POST", f"/v1/deliveries/{failed['id']}/redeliver")
    await receiver.connected(2)
    restarted.terminate()
    assert await restarted.exit_code(within=1 + 5) == 0
    assert [row.status for row in rows(daemon.database)] == ["failed", "interrupted"]


def hangs_up_once_then_reads_nothing() -> Behaviour:
    turns = count()

    async def behaviour(connection: Connection) -> None:
        if next(turns):
            await trio.sleep_forever()

    return behaviour


async def test_a_second_sigterm_cuts_it_off_and_says_so(daemons: Daemons, receivers: Receivers) -> None:
    receiver = await receivers.start(never_answers)
    daemon = await daemons.start(PATIENT)
    acme = await daemon.tenant()
    webhook = await acme.register(receiver.url)
    await acme.publish(session_event("s-1"))
    await receiver.arrived()
    daemon.terminate()
    await daemon.log.wait("daemon.draining")
    daemon.terminate()
    assert await daemon.exit_code(within=5) == 1
    assert daemon.log.lines[-1]["clean"] is False

    restarted = await daemons.start(PATIENT)
    (delivery,) = await restarted.operator().deliveries(webhook["id"])
    assert delivery["status"] == "interrupted"
    assert len(receiver.requests) == 1


async def test_an_idle_daemon_stops_at_once(daemons: Daemons) -> None:
    daemon = await daemons.start(PATIENT)
    await (await daemon.tenant()).ask("GET", "/v1/webhooks")
    daemon.terminate()
    assert await daemon.exit_code(within=3) == 0


async def test_a_second_daemon_on_the_same_file_exits_2_and_changes_nothing(
    daemons: Daemons, receivers: Receivers
) -> None:
    receiver = await receivers.start(never_answers)
    first = await daemons.start(PATIENT)
    acme = await first.tenant()
    webhook = await acme.register(receiver.url)
    await acme.publish(session_event("s-1"))
    await receiver.arrived()
    second = await daemons.launch(PATIENT)
    assert await second.exit_code() == 2
    assert str(first.database) in second.log.tail()
    (delivery,) = await acme.deliveries(webhook["id"])
    assert delivery["status"] == "sending"


async def test_the_lock_of_a_killed_daemon_does_not_stand_in_the_way(daemons: Daemons) -> None:
    daemon = await daemons.start()
    daemon.kill()
    await daemon.exit_code()
    await daemons.start()


async def test_a_started_backup_copy_sends_nothing_by_itself(daemons: Daemons, receivers: Receivers) -> None:
    receiver = await receivers.start(never_answers)
    daemon = await daemons.start(IMPATIENT)
    acme = await daemon.tenant()
    webhook = await acme.register(receiver.url)
    events = await acme.publish(*[session_event(f"s-{n}") for n in range(5)])
    await receiver.arrived(2)
    copy = daemons.database("copy")
    copy.parent.mkdir()
    config = daemon.database.with_suffix(".toml")
    backup = await run_command("backup", str(copy), "--config", str(config))
    assert backup.returncode == 0, backup.stderr.decode()

    started = await daemons.start(IMPATIENT, name="copy")
    operator = started.operator()
    deliveries = await operator.deliveries(webhook["id"])
    assert {delivery["event"] for delivery in deliveries} == {event["id"] for event in events}
    assert [delivery["status"] for delivery in deliveries] == ["interrupted"] * 5
    assert started.log.of("delivery.interrupted", count=5)
    assert len(receiver.requests) == 2

    await operator.ask("POST", f"/v1/deliveries/{deliveries[0]['id']}/redeliver")
    await receiver.arrived(3)
    assert receiver.requests[2].header("webhook-id") == deliveries[0]["event"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[server]\nbnd = 1\n", "bnd"),
        ("[storage]\npath = 7\n", "path"),
        ("not toml", "TOML"),
    ],
)
async def test_a_wrong_configuration_exits_2_and_names_the_key(daemons: Daemons, text: str, named: str) -> None:
    config = daemons.database().parent.with_suffix(".toml")
    config.write_text(text)
    ended = await run_command("serve", "--config", str(config))
    assert ended.returncode == 2
    assert named in said(ended)
    assert str(config) in said(ended)


async def test_an_address_that_is_taken_exits_2_and_names_it(daemons: Daemons) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        daemon = await daemons.launch({"server": {"bind": [address]}})
        assert await daemon.exit_code() == 2
    assert address in daemon.log.tail()


def said(ended: subprocess.CompletedProcess[bytes]) -> str:
    return (ended.stdout + ended.stderr).decode()
