"""`make install` and `make uninstall`: repeatable, safe beside a running daemon, careful with what people edited."""

from __future__ import annotations

import stat
import tomllib
from typing import TYPE_CHECKING

import pytest
import trio
from harness.events import session_event
from machine import SOURCES, WHEELS
from service import CONFIG, NAME, SETTINGS, SOCKET, TOKEN, install
from test_restarts_under_load import Load

if TYPE_CHECKING:
    from service import Service

CURRENT = "/opt/tenant-webhooks/current"
RELEASES = "/opt/tenant-webhooks/releases"
PROJECT = f"{SOURCES}/pyproject.toml"
SHIPPED = f"{SOURCES}/config/tenant-webhooks.toml"


async def test_an_installation_that_is_in_place_is_left_alone(service: Service) -> None:
    before = service.main_pid, service.token(), service.machine.run("readlink", CURRENT)
    assert "Everything is in place already." in install(service.machine)
    assert (service.main_pid, service.token(), service.machine.run("readlink", CURRENT)) == before


async def test_the_token_is_root_s_alone_and_the_configuration_can_be_read(service: Service) -> None:
    token = service.machine.path(TOKEN).stat()
    assert (stat.S_IMODE(token.st_mode), token.st_uid) == (0o600, 0)
    assert stat.S_IMODE(service.machine.path(CONFIG).stat().st_mode) == 0o644


async def test_the_command_is_found_and_is_this_version(service: Service) -> None:
    assert service.machine.run("tenant-webhooks", "--version").split()[-1].strip() == _version(service)


async def test_an_edited_configuration_is_never_overwritten(service: Service) -> None:
    shipped = service.machine.path(SHIPPED)
    original = shipped.read_text()
    try:
        shipped.write_text(original + "\n# A newer default.\n")
        said = install(service.machine)
        assert f"{CONFIG}.new" in said
        assert service.machine.path(CONFIG).read_text() == SETTINGS
        assert service.machine.path(f"{CONFIG}.new").read_text().endswith("# A newer default.\n")
        assert f"{CONFIG}.new" not in install(service.machine), "it is said once"
    finally:
        shipped.write_text(original)
        install(service.machine)
        service.machine.path(f"{CONFIG}.new").unlink(missing_ok=True)


async def test_a_configuration_that_nobody_edited_follows_the_shipped_one(service: Service) -> None:
    shipped, config = service.machine.path(SHIPPED), service.machine.path(CONFIG)
    original = shipped.read_text()
    try:
        config.unlink()
        install(service.machine)
        installed = tomllib.loads(config.read_text())
        assert installed == {
            **{section: {} for section in installed},
            "auth": {"operator_token_file": TOKEN},
            "storage": {"path": "/var/lib/tenant-webhooks/tenant-webhooks.db"},
        }
        # Its environment is not the service's: it goes by the file alone.
        examined = service.machine.run("tenant-webhooks", "doctor", "--config", CONFIG)
        assert f"{TOKEN} is closed to others and holds a token." in " ".join(examined.split())
        shipped.write_text(original + "\n# A newer default.\n")
        install(service.machine)
        assert config.read_text().endswith("# A newer default.\n")
    finally:
        shipped.write_text(original)
        service.configure()
        install(service.machine)
        service.machine.path(f"{CONFIG}.new").unlink(missing_ok=True)


async def test_an_upgrade_under_load_replaces_the_program_whole_and_refuses_nobody(service: Service) -> None:
    project, before = service.machine.path(PROJECT), service.machine.run("readlink", CURRENT)
    original, version = project.read_text(), _version(service)
    tenant = await service.tenant("upgraded")
    load = Load(tenant.client.headers["authorization"].split()[1])
    try:
        project.write_text(original.replace(f'version = "{version}"', f'version = "{version}+next"'))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(load.publish, "upgrade")
            await load.goes_on()
            await trio.to_thread.run_sync(install, service.machine)
            await load.goes_on()
            load.over = True
        assert not load.refused
        assert service.machine.run("readlink", CURRENT) != before
        started = service.journal("EVENT=daemon.started")[-1]
        assert started["VERSION"] == f"{version}+next"
    finally:
        project.write_text(original)
        install(service.machine)
    assert service.machine.run("readlink", CURRENT) == before, "the way back is there"


async def test_upgrades_that_do_not_start_leave_the_way_back_however_many_they_are(service: Service) -> None:
    project, socket = service.machine.path(PROJECT), service.machine.path(f"{SOURCES}/systemd/{SOCKET}")
    project_before, socket_before = project.read_text(), socket.read_text()
    before, version = service.machine.run("readlink", "-e", CURRENT).strip(), _version(service)

    def upgrade(to: str) -> bool:
        project.write_text(project_before.replace(f'version = "{version}"', f'version = "{version}+{to}"'))
        done = service.machine.attempt("make", "-C", SOURCES, "install", f"WHEELS={WHEELS}")
        assert to in service.machine.run("readlink", "-e", CURRENT), done.stdout
        return done.returncode == 0

    try:
        service.drop_in("ExecStartPre=/bin/false")
        assert not upgrade("next")
        assert not upgrade("next")
        service.stop()
        assert upgrade("third"), "nothing is started that was stopped"
        service.systemctl("start", NAME, ok=False)
        socket.write_text(socket_before + "# Changed.\n")
        assert not upgrade("next")
        assert service.machine.run(f"{before}/bin/tenant-webhooks", "--version").split()[-1] == version
        project.write_text(project_before)
        service.drop_in("")
        said = install(service.machine)
        assert "Restarting the daemon" in said
        assert "The socket's unit changed." in said, "it still waits to be told"
        assert service.machine.run("readlink", "-e", CURRENT).strip() == before
        assert service.journal("EVENT=daemon.started")[-1]["VERSION"] == version
        assert "Everything is in place already." in install(service.machine)
        assert len(list(service.machine.path(RELEASES).iterdir())) == 2
    finally:
        project.write_text(project_before)
        socket.write_text(socket_before)
        service.drop_in("")
        install(service.machine)


async def test_an_uninstallation_keeps_data_configuration_and_token(service: Service) -> None:
    tenant = await service.tenant("kept")
    (event,) = await tenant.publish(session_event("kept"))
    token = service.token()
    said = service.machine.run("make", "-C", SOURCES, "uninstall")
    assert "/var/lib/private/tenant-webhooks" in said
    left = service.machine.attempt("ls", "-d", "/opt/tenant-webhooks", "/usr/local/bin/tenant-webhooks")
    assert left.stdout.count("No such file") == 2
    assert "could not be found" in service.machine.attempt("systemctl", "status", NAME).stdout
    assert "Restarting" not in install(service.machine)
    service.systemctl("enable", "--now", NAME)
    assert service.token() == token
    assert service.machine.path(CONFIG).read_text() == SETTINGS
    assert (await tenant.ask("GET", f"/v1/events/{event['id']}"))["id"] == event["id"]
    service.machine.path(f"{CONFIG}.new").unlink(missing_ok=True)


@pytest.mark.parametrize(("command", "user", "why"), [("install", 1000, "as root"), ("uninstall", 1000, "as root")])
async def test_somebody_who_may_not_is_told_so(service: Service, command: str, user: int, why: str) -> None:
    done = service.machine.attempt("make", "-C", SOURCES, command, f"WHEELS={WHEELS}", user=user)
    assert done.returncode != 0
    assert why in done.stdout


def _version(service: Service) -> str:
    return tomllib.loads(service.machine.path(PROJECT).read_text())["project"]["version"]
