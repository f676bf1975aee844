"""`tenant-webhooks doctor`: what is right is said to be, what is wrong is found, with what to do about it."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio
from harness.configuration import configuration, toml
from harness.daemon_process import COMMAND, environment
from harness.events import session_event
from harness.hostile import unused_port
from harness.ownership import BOUND_BY_MODES, NOBODY, needs_root_that_can_be_bound
from harness.waiting import eventually

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence

    from harness.configuration import Value
    from harness.daemon_process import Daemon
    from harness.starting import Daemons

# As systemd hands sockets over (sd_listen_fds(3)): the first arguments are where to listen, then comes the command.
ACTIVATING = """
import os, socket, sys
names, places, command = sys.argv[1], sys.argv[2].split(","), sys.argv[3:]
for fd, place in enumerate(places, 3):
    sock = socket.socket(socket.AF_UNIX if place.startswith("/") else socket.AF_INET)
    sock.bind(place if place.startswith("/") else ("127.0.0.1", int(place)))
    sock.listen()
    if sock.fileno() != fd:
        os.dup2(sock.fileno(), fd)
        sock.close()
    os.set_inheritable(fd, True)
    sock.detach()
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(places)), LISTEN_FDNAMES=names)
os.execv(command[0], command)
"""
ADVISED = ("warning", "failed")


class Report:
    """What one run said: by check its findings, and its exit code."""

    def __init__(self, done: subprocess.CompletedProcess[bytes]) -> None:
        self.code = done.returncode
        self.text = done.stdout.decode()
        document = json.loads(done.stdout)
        self.findings: list[dict[str, Any]] = document["checks"]
        assert document["failed"] == sum(finding["status"] == "failed" for finding in self.findings)
        assert document["warnings"] == sum(finding["status"] == "warning" for finding in self.findings)
        assert self.code == (1 if document["failed"] else 0)
        for finding in self.findings:
            assert "\n" not in finding["detail"], "a finding is one line"
            assert bool(finding["advice"]) == (finding["status"] in ADVISED), "what is wrong comes with what to do"

    def of(self, check: str) -> dict[str, Any]:
        (finding,) = [finding for finding in self.findings if finding["check"] == check]
        return finding

    def status(self, check: str) -> str:
        return self.of(check)["status"]

    @property
    def failed(self) -> list[str]:
        return [finding["check"] for finding in self.findings if finding["status"] == "failed"]


async def run(
    *arguments: str, env: Mapping[str, str] | None = None, command: Sequence[str] = COMMAND
) -> subprocess.CompletedProcess[bytes]:
    with trio.fail_after(60):
        return await trio.run_process(
            [*command, "doctor", *arguments],
            stdin=b"",
            check=False,
            capture_stdout=True,
            capture_stderr=True,
            env=environment(env),
        )


async def examine(config: Path, env: Mapping[str, str] | None = None, command: Sequence[str] = COMMAND) -> Report:
    done = await run("--config", str(config), "--json", env=env, command=command)
    assert done.stderr == b"", done.stderr
    return Report(done)


async def of_daemon(daemon: Daemon) -> Report:
    return await examine(daemon.database.with_suffix(".toml"))


def configured(folder: Path, **sections: Mapping[str, Value]) -> Path:
    """A configuration with a database of its own in `folder`, and a port that is free."""
    folder.chmod(0o700)
    config = folder / "webhooks.toml"
    whole: dict[str, dict[str, Value]] = {
        "server": {"bind": [f"127.0.0.1:{unused_port()}"]},
        "storage": {"path": str(folder / "webhooks.db"), "min_free_bytes": 4096},
    }
    for section, keys in sections.items():
        whole.setdefault(section, {}).update(keys)
    config.write_text(toml(whole))
    return config


async def test_before_the_first_start_nothing_fails_and_nothing_is_made(tmp_path: Path) -> None:
    config = configured(tmp_path)
    report = await examine(config)
    assert report.failed == []
    for check in ("configuration", "database folder", "database files", "operator token", "disk writes", "database"):
        assert report.status(check) == "ok", report.of(check)
    assert report.status("server.bind") == "ok"
    assert report.status("daemon") == "warning"
    assert "example.com" in report.of("DNS")["detail"]
    assert report.status("DNS") != "failed", "a machine may be kept off the Internet"
    assert os.listdir(tmp_path) == [config.name]


async def test_beside_a_running_daemon_all_is_well_and_it_goes_on(daemons: Daemons) -> None:
    daemon = await daemons.start({"server": {"bind": [f"127.0.0.1:{unused_port()}"]}})
    acme = await daemon.tenant()
    webhook = await acme.register(f"http://127.0.0.1:{unused_port()}/")
    report = await of_daemon(daemon)
    assert report.failed == []
    assert report.of("server.bind")["detail"].startswith("The daemon (process ")
    assert report.of("daemon")["detail"] == f"It runs (process {daemon.process.pid}) and is ready."
    assert report.status("open descriptors") == "ok"
    assert report.status("database files") == report.status("database") == report.status("operator token") == "ok"
    for secret in (daemon.operator_token, webhook["secret"]):
        assert secret not in report.text
    await acme.finished(await acme.publish(session_event("s")))


def activated(**places: object) -> list[str]:
    """The command with sockets passed to it: by name a port, or a path."""
    where = ",".join(str(place) for place in places.values())
    return [sys.executable, "-c", ACTIVATING, ":".join(places), where, *COMMAND]


async def test_a_daemon_whose_socket_systemd_moved_is_judged_and_asked_where_it_really_listens(
    daemons: Daemons, tmp_path: Path
) -> None:
    port, path = unused_port(), tmp_path / "observe.sock"
    settings = {"server": {"bind": [f"127.0.0.1:{unused_port()}"]}}
    daemon = await daemons.start(settings, command=activated(main=port, observe=path))
    report = await of_daemon(daemon)
    assert report.failed == []
    assert report.of("server.bind")["detail"].startswith(f"The daemon (process {daemon.process.pid}) listens on ")
    assert report.status("server.bind") == report.status("server.observe_bind") == "ok"
    assert f"127.0.0.1:{port}" in report.of("server.bind")["detail"]
    assert f"unix:{path}" in report.of("server.observe_bind")["detail"]
    assert report.of("daemon")["detail"] == f"It runs (process {daemon.process.pid}) and is ready."


async def test_a_configuration_changed_since_the_start_does_not_make_a_daemon_one_that_does_not_answer(
    daemons: Daemons,
) -> None:
    daemon = await daemons.start({"server": {"observe_bind": ["127.0.0.1:0"]}})
    config = daemon.database.with_suffix(".toml")
    elsewhere = {"bind": [f"127.0.0.1:{unused_port()}"], "observe_bind": [f"127.0.0.1:{unused_port()}"]}
    config.write_text(toml(configuration(daemon.database, {"server": elsewhere})))
    report = await examine(config)
    assert report.status("server.bind") == "warning"
    assert report.status("daemon") == "ok"


@pytest.mark.parametrize(
    ("name", "check", "status"),
    [("operator.token", "operator token", "warning"), ("webhooks.db", "database", "failed")],
)
async def test_beside_a_running_daemon_nothing_is_said_to_be_made_at_the_first_start(
    daemons: Daemons, name: str, check: str, status: str
) -> None:
    daemon = await daemons.start()
    (daemon.database.parent / name).unlink()
    report = await of_daemon(daemon)
    assert report.status(check) == status
    assert "first start" not in report.text


async def test_a_daemon_that_is_stuck_is_found(daemons: Daemons) -> None:
    daemon = await daemons.start({"server": {"bind": [f"127.0.0.1:{unused_port()}"]}})
    daemon.process.send_signal(signal.SIGSTOP)
    report = await of_daemon(daemon)
    assert report.failed == ["daemon"]
    assert "does not answer" in report.of("daemon")["detail"]


async def test_a_daemon_that_is_not_ready_is_found_with_the_reason(daemons: Daemons) -> None:
    settings = {"server": {"bind": [f"127.0.0.1:{unused_port()}"]}, "storage": {"min_free_bytes": 1 << 40}}
    report = await of_daemon(await daemons.start(settings))
    assert report.failed == ["disk space", "daemon"]
    assert "min_free_bytes" in report.of("daemon")["advice"]


async def test_an_address_held_by_another_program_is_told_from_the_daemons_own(
    daemons: Daemons, tmp_path: Path
) -> None:
    (other := tmp_path / "other").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "api.sock"))
        unix.listen()
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        report = await examine(configured(other, server={"bind": [place], "admin_bind": [f"unix:{tmp_path}/api.sock"]}))
    assert report.failed == ["server.bind", "server.admin_bind"]
    assert f"{place} (process {os.getpid()})" in report.of("server.bind")["detail"]
    daemon = await daemons.start()
    config = daemon.database.with_suffix(".toml")
    config.write_text(config.read_text().replace("127.0.0.1:0", f"127.0.0.1:{unused_port()}"))
    assert (await examine(config)).of("server.bind")["status"] == "warning", "the daemon runs, but not there"


async def test_an_address_of_another_machine_cannot_be_listened_on(tmp_path: Path) -> None:
    report = await examine(configured(tmp_path, server={"bind": ["203.0.113.1:8080"]}))
    assert report.failed == ["server.bind"]
    assert "no such address" in report.of("server.bind")["advice"]


@pytest.mark.parametrize(
    ("name", "mode", "check"),
    [
        (".", 0o777, "database folder"),
        ("webhooks.db", 0o644, "database files"),
        ("webhooks.db-wal", 0o606, "database files"),
        ("operator.token", 0o644, "operator token"),
        ("operator.token", 0o660, "operator token"),
    ],
)
async def test_what_others_may_read_or_replace_is_found(daemons: Daemons, name: str, mode: int, check: str) -> None:
    daemon = await daemons.start()
    place = daemon.database.parent / name
    place.chmod(mode)
    report = await of_daemon(daemon)
    assert report.failed == [check]
    assert "chmod" in report.of(check)["advice"]
    assert daemon.operator_token not in report.text


async def test_a_token_that_is_none_is_found_without_showing_it(tmp_path: Path) -> None:
    config = configured(tmp_path, auth={"operator_token_file": str(tmp_path / "token")})
    assert (await examine(config)).failed == ["operator token"]
    (tmp_path / "token").write_text("hunter2-hunter2")
    (tmp_path / "token").chmod(0o600)
    report = await examine(config)
    assert report.failed == ["operator token"]
    assert "hunter2" not in report.text


async def test_a_folder_that_is_missing_is_found_by_all_that_need_it(tmp_path: Path) -> None:
    report = await examine(configured(tmp_path, storage={"path": str(tmp_path / "missing" / "webhooks.db")}))
    assert report.failed == ["database folder", "disk space"]
    assert "install -d" in report.of("database folder")["advice"]


async def test_a_link_to_itself_is_no_database(tmp_path: Path) -> None:
    config = configured(tmp_path)
    (tmp_path / "webhooks.db").symlink_to("webhooks.db")
    report = await examine(config)
    assert report.failed == ["database files"]
    assert "Too many levels of symbolic links" in report.of("database files")["detail"]


@needs_root_that_can_be_bound
async def test_as_another_user_it_says_whose_part_to_take(tmp_path: Path) -> None:
    (folder := tmp_path / "of-another").mkdir()
    config = configured(folder).rename(tmp_path / "webhooks.toml")
    os.chown(folder, NOBODY, NOBODY)
    report = await examine(config, command=BOUND_BY_MODES)
    assert report.failed == ["database folder", "database files", "operator token", "disk writes", "database"]
    assert "user that the daemon runs as" in report.of("database folder")["advice"]


def _empty(database: Path) -> None:
    database.write_bytes(b"")


def _not_a_database(database: Path) -> None:
    database.write_bytes(b"This is a text file, and has been one all the time.\n" * 100)


def _cut(database: Path) -> None:
    os.truncate(database, database.stat().st_size // 2)


def _scribbled(database: Path) -> None:
    with database.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)


def _newer(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA user_version = 999")
        connection.commit()


def _of_another_program(database: Path) -> None:
    database.unlink()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE things (a)")
    database.chmod(0o600)


@pytest.mark.parametrize(
    ("damage", "failed"),
    [
        (_empty, False),
        (_not_a_database, True),
        (_cut, True),
        (_scribbled, True),
        (_newer, True),
        (_of_another_program, True),
    ],
    ids=lambda value: value.__name__.lstrip("_") if callable(value) else "",
)
async def test_a_database_that_cannot_be_relied_on_is_found(daemons: Daemons, damage: Any, failed: bool) -> None:
    daemon = await daemons.start()
    await daemon.tenant()
    daemon.terminate()
    await daemon.exit_code()
    damage(daemon.database)
    before = daemon.database.read_bytes(), sorted(os.listdir(daemon.database.parent))
    report = await of_daemon(daemon)
    assert report.failed == (["database"] if failed else [])
    assert (daemon.database.read_bytes(), sorted(os.listdir(daemon.database.parent))) == before


async def test_nothing_is_left_beside_a_database_that_no_daemon_uses(daemons: Daemons) -> None:
    daemon = await daemons.start()
    daemon.terminate()
    await daemon.exit_code()
    before = sorted(os.listdir(daemon.database.parent))
    assert (await of_daemon(daemon)).failed == []
    assert sorted(os.listdir(daemon.database.parent)) == before


async def test_what_a_crash_left_is_looked_at_as_it_will_be_recovered(daemons: Daemons) -> None:
    daemon = await daemons.start()
    await daemon.tenant()
    daemon.kill()
    await daemon.exit_code()
    report = await of_daemon(daemon)
    assert report.failed == []
    assert report.status("daemon") == "warning"
    again = await daemons.start()
    assert [tenant["id"] for tenant in (await again.operator().ask("GET", "/v1/tenants"))["data"]] == ["acme"]


async def test_too_few_descriptors_are_found(tmp_path: Path) -> None:
    report = await examine(
        configured(tmp_path, delivery={"max_concurrent": 100_000}, server={"max_connections": 100_000})
    )
    (limits,) = [finding for finding in report.findings if finding["check"] == "file descriptors"]
    assert limits["status"] == ("failed" if _hard_limit() < 200_320 else "ok")
    assert "200320" in limits["detail"]


def _hard_limit() -> int:
    line = next(
        line for line in Path("/proc/self/limits").read_text().splitlines() if line.startswith("Max open files")
    )
    return int(line.split()[4]) if line.split()[4] != "unlimited" else 1 << 40


async def test_a_machine_without_certificate_authorities_is_found(tmp_path: Path) -> None:
    (tmp_path / "none.pem").write_text("")
    (tmp_path / "nothing").mkdir()
    config = configured(tmp_path)
    env = {"SSL_CERT_FILE": str(tmp_path / "none.pem"), "SSL_CERT_DIR": str(tmp_path / "nothing")}
    report = await examine(config, env)
    assert report.failed == ["TLS roots"]
    assert "ca-certificates" in report.of("TLS roots")["advice"]
    report = await examine(config, {"SSL_CERT_FILE": str(tmp_path / "gone.pem")})
    assert report.status("TLS roots") == "warning"


async def test_a_configuration_that_cannot_be_used_leaves_the_rest_to_be_looked_at(tmp_path: Path) -> None:
    config = tmp_path / "webhooks.toml"
    config.write_text("[server]\nbnid = 1\n[observe]\ntenant_labels = [3]\n")
    report = await examine(config, {"TENANT_WEBHOOKS_TOKNE": "hunter2"})
    assert report.failed == ["configuration"]
    assert "did you mean server.bind" in report.of("configuration")["advice"]
    assert "observe.tenant_labels" in report.of("configuration")["advice"]
    assert "hunter2" not in report.text
    assert {finding["check"] for finding in report.findings} == {
        *("configuration", "clock", "clock pace", "clock synchronisation", "DNS", "TLS roots"),
    }
    assert (await examine(tmp_path / "missing.toml")).failed == ["configuration"]


async def test_a_person_reads_one_line_a_check_and_what_to_do_below(tmp_path: Path) -> None:
    config = configured(tmp_path, storage={"path": str(tmp_path / "mis\x1bsing" / "webhooks.db")})
    done = await run("--config", str(config))
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 1
    assert b"\x1b" not in done.stdout
    place = next(number for number, line in enumerate(lines) if line.startswith("failed   database folder"))
    assert lines[place + 1].strip().startswith("→ Make it")
    assert lines[-1].startswith("2 failed, ")


async def test_usage_that_is_wrong_is_told() -> None:
    done = await run("--verbose")
    assert (done.returncode, done.stdout) == (2, b"")


async def test_it_takes_no_lock_from_a_daemon_that_starts_meanwhile(daemons: Daemons) -> None:
    daemon = await daemons.start()
    config = daemon.database.with_suffix(".toml")
    daemon.terminate()
    await daemon.exit_code()
    reports: list[Report] = []

    async def examined() -> None:
        reports.append(await examine(config))

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(examined)
        again = await daemons.start()
    assert len(reports) == 3

    async def seen() -> bool:
        return str(again.process.pid) in (await examine(config)).of("daemon")["detail"]

    await eventually(seen, "the daemon is seen")
