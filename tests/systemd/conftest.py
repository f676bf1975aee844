"""Fixtures of the systemd room: one machine for all tests, with the service installed; each test finds it running."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING

import pytest
from harness.starting import Receivers
from machine import Machine
from service import Service, install

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator

    import trio

TOOLS = ("debootstrap", "systemd-nspawn", "nsenter", "setpriv", "git")


LAST_LINES = 40


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows what the machine said last."""
    report = yield
    machine = getattr(item, "funcargs", {}).get("machine")
    if report.failed and machine is not None:
        said = machine.run("journalctl", "--no-pager", f"--lines={LAST_LINES}", "--output=short-precise", ok=False)
        report.sections.append(("the machine's journal", said))
    return report


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing or os.geteuid() != 0:
        pytest.fail(f"This needs root and: debootstrap systemd-container util-linux git (missing: {missing})")
    since = time.monotonic()
    with Machine.boot(tmp_path_factory.mktemp("machine")) as machine:
        print(f"\nbooted after {time.monotonic() - since:.0f} s", flush=True)
        print(f"{install(machine)}installed after {time.monotonic() - since:.0f} s", flush=True)
        service = Service(machine)
        service.configure()
        service.systemctl("enable", "--now", "tenant-webhooks.service")
        with machine.network():
            yield machine


@pytest.fixture
async def service(machine: Machine) -> AsyncIterator[Service]:
    """Running. What a test changed of its configuration and its unit is undone."""
    service = Service(machine)
    service.start()
    yield service
    await service.aclose()
    if service.changed:
        service.configure()
        service.drop_in("")
        service.restart()


@pytest.fixture
async def receivers(nursery: trio.Nursery) -> Receivers:
    return Receivers(nursery)
