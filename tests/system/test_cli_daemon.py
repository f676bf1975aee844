"""The command line with the real daemon: what a person types, what happens, what remains."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
import subprocess
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio
from click.testing import CliRunner
from harness.daemon_process import COMMAND, environment

from daemon.cli.child import ChildFailed, child
from daemon.cli.root import cli
from daemon.sample import DELIVERED, PUBLISHED

if TYPE_CHECKING:
    from click.testing import Result
    from harness.daemon_process import Daemon
    from harness.starting import Daemons, Receivers


async def run(
    *arguments: str, env: dict[str, str] | None = None, input: bytes = b"", within: float = 30
) -> subprocess.CompletedProcess[bytes]:
    with trio.fail_after(within):
        return await trio.run_process(
            [*COMMAND, *arguments],
            stdin=input,
            check=False,
            capture_stdout=True,
            capture_stderr=True,
            env=environment(env),
        )


async def client(daemon: Daemon, token: str, *arguments: str, input: bytes = b"") -> Result:
    """A client command in this process: a process of its own takes ten times as long."""
    env = {"TENANT_WEBHOOKS_URL": daemon.base_url, "TENANT_WEBHOOKS_TOKEN": token}
    with trio.fail_after(10):
        return await trio.to_thread.run_sync(partial(CliRunner().invoke, cli, arguments, env=env, input=input))


async def ask(daemon: Daemon, token: str, *arguments: str, input: bytes = b"") -> dict[str, Any]:
    done = await client(daemon, token, *arguments, "--json", input=input)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def running_in(folder: Path) -> list[str]:
    """The command lines of processes that name `folder`."""
    found: list[str] = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = place.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


async def test_the_demonstration_shows_a_verified_delivery_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = await run("demo", env={"TMPDIR": str(tmp_path)})
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    told = done.stdout.decode()
    assert DELIVERED.decode() in told
    assert "ok: the standardwebhooks library verifies the signature" in told
    assert "ok: recorded as succeeded with status 200" in told
    assert "curl -sS http://127.0.0.1:" in told
    assert "whsec_" in told
    assert all(len(rest.partition("…")[0]) <= 4 for rest in told.split("whsec_")[1:]), "a secret is shown whole"
    assert left_in(tmp_path) == []
    assert running_in(tmp_path) == []


async def test_the_demonstration_keeps_away_from_a_daemon_set_up_in_the_environment(tmp_path: Path) -> None:
    real = tmp_path / "real.db"
    (tmp_path / "temporary").mkdir()
    env = {"TENANT_WEBHOOKS_STORAGE__PATH": str(real), "TMPDIR": str(tmp_path / "temporary")}
    assert (await run("demo", env=env)).returncode == 0
    assert not real.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_demonstration_that_is_stopped_stops_its_daemon_and_fails(
    number: signal.Signals, tmp_path: Path, nursery: trio.Nursery
) -> None:
    process = await trio.lowlevel.open_process(
        [*COMMAND, "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment({"TMPDIR": str(tmp_path)}),
    )
    assert process.stdout is not None
    told = b""
    with trio.fail_after(20):
        async for chunk in process.stdout:
            told += chunk
            if b"1. Start the daemon" in told and process.returncode is None:
                process.send_signal(number)
                break
        async for chunk in process.stdout:
            told += chunk
        assert await process.wait() == 1, told
    await process.stdout.aclose()
    assert b"Stopped before its end" in told
    assert b"Traceback" not in told
    assert left_in(tmp_path) == []
    assert running_in(tmp_path) == []


async def test_a_demonstration_whose_reader_goes_away_ends_without_a_traceback(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as stdout, trio.fail_after(20):
        done = await trio.run_process(
            [*COMMAND, "demo"],
            check=False,
            stdout=stdout,
            capture_stderr=True,
            env=environment({"TMPDIR": str(tmp_path)}),
        )
    assert (done.returncode, done.stderr) == (1, b"")
    assert left_in(tmp_path) == []
    assert running_in(tmp_path) == []


async def test_a_daemon_that_cannot_start_fails_the_demonstration_with_its_log(tmp_path: Path) -> None:
    config = tmp_path / "broken.toml"
    config.write_text("[nonsense]\n")
    with trio.fail_after(20):
        async with child(config, os.environ) as daemon:
            with pytest.raises(ChildFailed, match="exit code 2"):
                await daemon.ready()
            assert any("nonsense" in line for line in daemon.log)


async def test_the_main_job_from_a_terminal(daemons: Daemons, receivers: Receivers) -> None:
    daemon = await daemons.start()
    receiver = await receivers.start()
    operator = daemon.operator_token
    await ask(daemon, operator, "tenants", "create", "acme", "--name", "Acme")
    assert [tenant["id"] for tenant in (await ask(daemon, operator, "tenants", "list"))["data"]] == ["acme"]
    permissions = ("--permission", "manage_webhooks", "--permission", "publish_events")
    token = (await ask(daemon, operator, "tokens", "create", "acme", *permissions))["token"]
    webhook = await ask(daemon, token, "webhooks", "create", receiver.url, "--name", "Production")
    published = await ask(daemon, token, "events", "publish", input=PUBLISHED)
    assert published["deliveries"] == 1
    await daemon.caller(token).settled()
    (done,) = (await ask(daemon, token, "deliveries", "list", "--status", "succeeded"))["data"]
    shown = await ask(daemon, token, "deliveries", "get", done["id"])
    assert (shown["event"], shown["webhook"], shown["statusCode"]) == (published["id"], webhook["id"], 200)
    again = await ask(daemon, token, "deliveries", "redeliver", shown["id"])
    assert again["redeliveryOf"] == shown["id"]
    pinged = await ask(daemon, token, "webhooks", "ping", webhook["id"])
    assert pinged["eventType"] == "webhook.ping"
    changed = await ask(daemon, token, "webhooks", "update", webhook["id"], "--name", "Staging", "--inactive")
    assert (changed["name"], changed["active"]) == ("Staging", False)
    event = await ask(daemon, token, "events", "get", published["id"])
    assert event["id"] == published["id"]


async def test_all_and_cursors_reach_every_delivery(daemons: Daemons, receivers: Receivers) -> None:
    daemon = await daemons.start()
    receiver = await receivers.start()
    acme = await daemon.tenant()
    await acme.register(receiver.url)
    events = [json.loads(PUBLISHED)] * 5
    accepted = await acme.publish(*events)
    await acme.settled()
    token = acme.client.headers["authorization"].removeprefix("Bearer ")
    whole = await ask(daemon, token, "deliveries", "list", "--all", "--limit", "2")
    assert [item["event"] for item in whole["data"]] == [event["id"] for event in reversed(accepted)]
    page = await ask(daemon, token, "deliveries", "list", "--limit", "2")
    rest = await ask(daemon, token, "deliveries", "list", "--limit", "200", "--cursor", page["next"])
    assert page["data"] + rest["data"] == whole["data"]


async def test_tables_of_the_real_api_show_every_row(daemons: Daemons, receivers: Receivers) -> None:
    daemon = await daemons.start()
    receiver = await receivers.start()
    acme = await daemon.tenant()
    webhook = await acme.register(receiver.url, name="Production")
    listed = await client(daemon, daemon.operator_token, "webhooks", "list", "--tenant", "acme")
    assert listed.exit_code == 0, listed.stderr
    heading, row = listed.stdout.splitlines()
    assert heading.split()[:3] == ["ID", "ACTIVE", "URL"]
    assert row.split()[:3] == [webhook["id"], "yes", receiver.url]


async def test_the_daemons_refusals_reach_the_person(daemons: Daemons) -> None:
    daemon = await daemons.start()
    await daemon.tenant()
    refused = await client(daemon, daemon.operator_token, "webhooks", "create", "ftp://a.example/", "--tenant", "acme")
    assert refused.exit_code == 1
    assert "/url: " in refused.stderr
    unknown = await client(daemon, "tw_unknown", "webhooks", "list")
    assert unknown.exit_code == 1
    assert "(401)" in unknown.stderr


async def test_a_backup_of_a_running_daemon_is_whole_private_and_overwrites_nothing(
    daemons: Daemons, tmp_path: Path
) -> None:
    daemon = await daemons.start()
    await daemon.tenant()
    copy = tmp_path / "copy.db"
    config = str(daemon.database.with_suffix(".toml"))
    done = await run("backup", str(copy), "--config", config)
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    database = sqlite3.connect(copy)
    assert database.execute("SELECT id FROM tenants").fetchall() == [("acme",)]
    database.close()
    before = copy.read_bytes()
    again = await run("backup", str(copy), "--config", config)
    assert again.returncode == 1
    assert str(copy) in again.stderr.decode()
    assert copy.read_bytes() == before


async def test_a_backup_of_nothing_fails_and_makes_nothing(tmp_path: Path) -> None:
    env = {"TENANT_WEBHOOKS_STORAGE__PATH": str(tmp_path / "missing.db")}
    done = await run("backup", str(tmp_path / "copy.db"), env=env)
    assert done.returncode == 1
    assert b"missing.db" in done.stderr
    assert left_in(tmp_path) == []


async def test_an_address_that_is_taken_ends_serve_with_its_name_and_no_traceback(
    daemons: Daemons, tmp_path: Path
) -> None:
    daemon = await daemons.start()
    place = f"{daemon.bind[0]}:{daemon.bind[1]}"
    env = {"TENANT_WEBHOOKS_SERVER__BIND": place, "TENANT_WEBHOOKS_STORAGE__PATH": str(tmp_path / "second.db")}
    done = await run("serve", env=env)
    assert done.returncode != 0
    assert place in (done.stdout + done.stderr).decode()
    assert b"Traceback" not in done.stdout + done.stderr
