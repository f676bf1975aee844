"""The units in systemd/ leave the daemon the time and the resources that its settings ask for."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path

import pytest

from daemon.egress.resolver import THREADS
from daemon.front_end.listeners import SETTINGS
from daemon.front_end.server import OWN_LIMIT
from daemon.settings import Settings

FOLDER = Path(__file__).parents[2] / "systemd"
# The last commit and the last log lines, each 4 s (supervisor).
CLOSING_SECONDS = 8


class _UnitParser(ConfigParser):
    def optionxform(self, optionstr: str) -> str:
        """The names of directives have capitals."""
        return optionstr


def unit(name: str) -> ConfigParser:
    parser = _UnitParser(strict=False, interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    parser.read_string((FOLDER / name).read_text(encoding="utf-8"))
    return parser


@pytest.fixture
def service() -> ConfigParser:
    return unit("tenant-webhooks.service")


def test_a_stop_is_given_longer_than_the_drain_and_what_follows_it(service: ConfigParser) -> None:
    drain = Settings().delivery.drain_timeout
    assert service.getint("Service", "TimeoutStopSec") >= drain + CLOSING_SECONDS + 5


def test_there_are_descriptors_for_every_slot_and_every_connection(service: ConfigParser) -> None:
    settings = Settings()
    racing = 2 * settings.delivery.max_concurrent
    needed = racing + settings.server.max_connections + 2 * OWN_LIMIT + THREADS
    assert service.getint("Service", "LimitNOFILE") >= 2 * needed


def test_there_are_tasks_for_every_thread(service: ConfigParser) -> None:
    assert service.getint("Service", "TasksMax") >= THREADS + 100


def test_the_socket_is_passed_as_a_whole_under_a_name_that_the_daemon_knows() -> None:
    socket = unit("tenant-webhooks.socket")["Socket"]
    assert socket["FileDescriptorName"] in SETTINGS
    assert socket["Accept"] == "no"
    assert socket["ListenStream"] == str(Settings().server.bind[0])
