"""What the service may do, and what others may see of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from harness.events import session_event
from harness.receiver import answers
from service import DATABASE, NAME, TOKEN

if TYPE_CHECKING:
    from harness.starting import Receivers
    from machine import Machine
    from service import Service

UNIT = Path(__file__).parents[2] / "systemd" / NAME
MOST_EXPOSED = 1.5
ANOTHER_USER = 1000
CREDENTIAL = f"/run/credentials/{NAME}/operator-token"


def test_the_exposure_that_systemd_computes_is_low(machine: Machine) -> None:
    said = machine.run("systemd-analyze", "security", "--offline=true", "--no-pager", f"/etc/systemd/system/{NAME}")
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert found, said
    print(f"\nexposure: {found[1]}")
    assert float(found[1]) <= MOST_EXPOSED, said


def test_systemd_finds_nothing_to_say_about_the_units(machine: Machine) -> None:
    assert machine.run("systemd-analyze", "verify", f"/etc/systemd/system/{NAME}") == ""


@pytest.mark.parametrize("path", [DATABASE, DATABASE.replace("/private", ""), f"{DATABASE}-wal", TOKEN, CREDENTIAL])
async def test_another_user_can_read_neither_the_database_nor_the_token(service: Service, path: str) -> None:
    assert service.machine.run("head", "-c", "1", path), "root can"
    done = service.machine.attempt("head", "-c", "1", path, user=ANOTHER_USER)
    assert done.returncode != 0
    assert "Permission denied" in done.stdout


async def test_the_daemon_is_an_account_of_its_own_without_any_capability(service: Service) -> None:
    status = service.machine.run("cat", f"/proc/{service.main_pid}/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines())
    uids = {int(uid) for uid in fields["Uid"].split()}
    assert min(uids) >= 61184, "systemd's range of dynamic users"
    assert {fields[name].strip() for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert fields["NoNewPrivs"] == "1"
    assert fields["Seccomp"] == "2"


async def test_the_daemon_has_the_descriptors_its_settings_ask_for_and_leaves_no_core(service: Service) -> None:
    limits = service.machine.run("cat", f"/proc/{service.main_pid}/limits")
    assert re.search(r"^Max open files\s+16384\s+16384", limits, re.MULTILINE)
    assert re.search(r"^Max core file size\s+0\s+0", limits, re.MULTILINE)


async def test_names_are_looked_up_and_delivered_to_inside_the_confinement(
    service: Service, receivers: Receivers
) -> None:
    receiver = await receivers.start(answers())
    tenant = await service.tenant("confined")
    await tenant.register(f"http://receiver.test:{receiver.port}/")
    (delivery,) = await tenant.finished(await tenant.publish(session_event("by-name")))
    where = f"127.0.0.1:{receiver.port}"
    assert (delivery["status"], delivery["remoteAddress"]) == ("succeeded", where), delivery["errorDetail"]
