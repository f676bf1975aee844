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
    from collections.abc import AsyncIterator, Iterator

    import trio

TOOLS = ("debootstrap", "systemd-nspawn", "nsenter", "setpriv", "git")


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
