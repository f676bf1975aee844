"""The service's life under systemd: start, crash, stall, reload, stop."""

from __future__ import annotations

import random
import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio
from harness.books import AppendOnly, Promises, count_unfinished, reconcile, rows
from harness.events import session_event
from harness.foreign import Ledger, counting_receiver
from harness.torture import publisher
from harness.waiting import eventually
from service import CONFIG, DATABASE, NAME, URL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from harness.starting import Receivers
    from service import Service

STARTS_WITHIN = 20
# What the interpreter runs at its start when PYTHONPATH leads here: at SIGUSR2 the main thread, and the event loop in
# it, stands still for good; every other thread goes on.
STALLING = """
import signal, time
signal.signal(signal.SIGUSR2, lambda *_: time.sleep(1 << 20))
"""


async def test_it_is_active_only_when_it_serves(service: Service) -> None:
    service.stop()
    # Somebody else has the database: the daemon is refused, again and again, and is never active.
    async with _in_machine(service, f"exec flock --no-fork {DATABASE}.lock sh -c 'echo held; cat'"):
        restarts = int(service.shown("NRestarts"))
        service.systemctl("start", "--no-block", NAME)
        await eventually(lambda: _restarted(service, restarts + 1), "started again and again", within=STARTS_WITHIN)
        assert service.shown("ActiveState") == "activating"
        assert int(service.shown("ActiveEnterTimestampMonotonic")) < int(service.shown("ActiveExitTimestampMonotonic"))
    await eventually(lambda: _active(service), "active", within=STARTS_WITHIN)
    assert (await service.caller(None).request("GET", "/readyz")).status_code == 200


async def test_a_start_returns_when_it_serves_and_systemctl_status_says_what_it_does(service: Service) -> None:
    service.restart()
    answer = await service.caller(None).request("GET", "/readyz")
    assert answer.status_code == 200

    async def says() -> bool:
        return "in flight" in await trio.to_thread.run_sync(service.shown, "StatusText")

    await eventually(says, "the status line")


async def test_kill_9_under_load_is_followed_by_a_restart_and_breaks_no_promise(
    service: Service, tmp_path: Path
) -> None:
    book, ledger, promises = AppendOnly(tmp_path / "book"), AppendOnly(tmp_path / "ledger"), Promises()
    async with counting_receiver(Ledger(ledger.path), 0.02) as port:
        tenant = await service.tenant("killed")
        await tenant.register(f"http://127.0.0.1:{port}/killed")
        token = tenant.client.headers["authorization"].split()[1]
        async with publisher(book.path, token, random.randrange(1 << 32)) as publishing:
            for _ in range(3):
                restarts, arrived = int(service.shown("NRestarts")), ledger.length()
                await publishing.tell("load", URL)
                await eventually(lambda before=arrived: _grown(ledger, before + 5000), "POSTs arrive")
                service.systemctl("kill", "--signal=KILL", NAME)
                await service.active_again(restarts, within=STARTS_WITHIN)
            await publishing.settle(URL)
            await eventually(lambda: _none_unfinished(service), "all deliveries end", within=60)
        promises.note(book.new_lines())
        records = [row for row in rows(service.database) if row.target == "/killed"]
        reckoning = reconcile(promises, records, Ledger(ledger.path).arrivals())
    print(f"\n{reckoning.table()}")
    assert reckoning.sound, str(reckoning)
    assert reckoning.promised > 0


async def test_a_stalled_event_loop_is_restarted_by_the_watchdog(service: Service) -> None:
    folder = service.machine.path("/opt/stalling")
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(STALLING)
    service.drop_in("WatchdogSec=2\nEnvironment=PYTHONPATH=/opt/stalling")
    service.restart()
    before, restarts = service.main_pid, int(service.shown("NRestarts"))
    with trio.move_on_after(5):  # more than two of its periods: it is fed
        await eventually(lambda: _restarted(service, restarts), "a restart without a reason", within=60)
        raise AssertionError("it was restarted although it was well")
    service.systemctl("kill", "--signal=USR2", NAME)
    await service.active_again(restarts, within=STARTS_WITHIN)
    assert service.main_pid != before
    assert any("watchdog" in line["MESSAGE"].lower() for line in service.journal(last=20))


async def test_a_stopped_process_is_killed_and_restarted_by_the_watchdog(service: Service) -> None:
    service.drop_in("WatchdogSec=2\nTimeoutAbortSec=1")
    service.restart()
    restarts = int(service.shown("NRestarts"))
    service.systemctl("kill", "--signal=STOP", NAME)
    await service.active_again(restarts, within=STARTS_WITHIN)
    assert (await service.caller(None).request("GET", "/readyz")).status_code == 200


async def test_a_stop_lets_what_is_under_way_end_and_what_is_accepted_survives(
    service: Service, receivers: Receivers
) -> None:
    begun, let_go = trio.Event(), trio.Event()

    async def waits(connection) -> None:
        while await connection.request() is not None:
            begun.set()
            await let_go.wait()
            await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    receiver = await receivers.start(waits)
    tenant = await service.tenant("stopping")
    await tenant.register(receiver.url)
    published = await tenant.publish(session_event("under-way"))
    with trio.fail_after(STARTS_WITHIN):
        await begun.wait()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, service.stop)
            await eventually(lambda: _state(service, "deactivating"), "stopping")
            let_go.set()
    assert (service.shown("Result"), service.shown("ExecMainStatus")) == ("success", "0")
    service.start()
    (delivery,) = await tenant.finished(published)
    assert delivery["status"] == "succeeded"
    assert [hook["url"] for hook in await _webhooks(tenant)] == [receiver.url]


async def test_a_reload_changes_limits_without_a_restart_and_a_broken_file_changes_nothing(service: Service) -> None:
    tenant = await service.tenant("reloading")
    before = service.main_pid
    await tenant.register("https://one.example/")
    service.configure("[limits]\nwebhooks_per_tenant = 1\n")
    service.systemctl("reload", NAME)
    await eventually(lambda: _refuses_one_more(tenant), "the new limit holds")
    service.machine.path(CONFIG).write_text("[limits]\nwebhooks_per_tenant = 'many'\n")
    said = service.systemctl("reload", NAME, ok=False)
    assert "failed" in said
    assert any("limits.webhooks_per_tenant" in line["MESSAGE"] for line in service.journal(last=20))
    # The daemon itself takes no harm either.
    service.systemctl("kill", "--signal=HUP", NAME)

    async def reported() -> bool:
        return bool(await trio.to_thread.run_sync(service.journal, "EVENT=daemon.reload_refused"))

    await eventually(reported, "the refusal is in the journal")
    assert await _refuses_one_more(tenant)
    assert (service.main_pid, service.shown("ActiveState")) == (before, "active")


@asynccontextmanager
async def _in_machine(service: Service, script: str) -> AsyncIterator[None]:
    """A shell in the machine that has said something; it is told to end, by its input's end, and has ended."""
    command = service.machine.enter("sh", "-c", script)
    process = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    async with process.stdout:
        async with process.stdin:
            with trio.fail_after(STARTS_WITHIN):
                assert await process.stdout.receive_some(1)
            yield
        with trio.fail_after(STARTS_WITHIN):
            await process.wait()


async def _state(service: Service, state: str) -> bool:
    return await trio.to_thread.run_sync(service.shown, "ActiveState") == state


async def _active(service: Service) -> bool:
    return await _state(service, "active")


async def _restarted(service: Service, restarts: int) -> bool:
    return int(await trio.to_thread.run_sync(service.shown, "NRestarts")) > restarts


async def _grown(ledger: AppendOnly, length: int) -> bool:
    return ledger.length() > length


async def _none_unfinished(service: Service) -> bool:
    return await trio.to_thread.run_sync(count_unfinished, service.database) == 0


async def _webhooks(tenant) -> list:
    return (await tenant.ask("GET", "/v1/webhooks"))["data"]


async def _refuses_one_more(tenant) -> bool:
    answer = await tenant.request("POST", "/v1/webhooks", {"url": "https://two.example/"})
    if answer.status_code == 201:
        await tenant.ask("DELETE", f"/v1/webhooks/{answer.json()['id']}")
    return answer.status_code == 409
