"""How the doctor's looks are judged: pure, at their bounds."""

from __future__ import annotations

import threading
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.cli.checks import addresses, clock, descriptors, disk, names, permissions, trust
from daemon.cli.checks.finding import Finding, ok
from daemon.cli.doctor import guarded
from daemon.persistence.lock import holders
from daemon.settings import TcpBind

if TYPE_CHECKING:
    from collections.abc import Iterator

MOUNTS = """\
22 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw
23 22 0:20 / /srv/my\\040data rw master:1 shared:2 - nfs4 host:/export rw
24 22 0:21 / /srv rw - tmpfs tmpfs rw
25 22 0:22 / /srv rw - xfs /dev/vdb rw
garbage
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/", "ext4"), ("/srvx/a", "ext4"), ("/srv", "xfs"), ("/srv/my data/x", "nfs4"), ("/srv/my", "xfs")],
)
def test_the_file_system_is_that_of_the_nearest_mount_the_last_of_those_on_one_place(path: str, kind: str) -> None:
    assert disk.kind_of(MOUNTS, PurePosixPath(path)) == kind


@given(st.text(), st.lists(st.sampled_from(["a", "b c"])))
def test_any_table_of_mounts_is_taken(mounts: str, path: list[str]) -> None:
    disk.kind_of(mounts, PurePosixPath("/", *path))


@pytest.mark.parametrize(("kind", "status"), [("nfs", "failed"), ("tmpfs", "warning"), ("ext4", "ok"), (None, "ok")])
def test_a_network_share_fails_and_memory_warns(kind: str | None, status: str) -> None:
    assert disk.judge_kind(PurePosixPath("/x"), kind).status == status


@pytest.mark.parametrize(
    ("free", "inodes", "status"),
    [
        (99, 5, "failed"),
        (100, 5, "warning"),
        (999, 5, "warning"),
        (1000, 5, "ok"),
        (1000, None, "ok"),
        (1000, 0, "failed"),
    ],
)
def test_space_is_judged_by_the_reserve(free: int, inodes: int | None, status: str) -> None:
    assert disk.judge_space(free, inodes, 100).status == status


def test_a_slow_sync_warns() -> None:
    assert disk.judge_sync(0.01).status == "ok"
    assert disk.judge_sync(0.5).status == "warning"


@pytest.mark.parametrize(
    ("mode", "status"),
    [(0o700, "ok"), (0o755, "ok"), (0o770, "warning"), (0o1777, "warning"), (0o777, "failed"), (0o702, "failed")],
)
def test_folders_by_their_mode(mode: int, status: str) -> None:
    assert permissions.judge_folder(PurePosixPath("/x"), 0o040000 | mode).status == status


@pytest.mark.parametrize(
    ("mode", "status"), [(0o100600, "ok"), (0o100640, "warning"), (0o100604, "failed"), (0o040700, "failed")]
)
def test_files_by_their_mode(mode: int, status: str) -> None:
    assert permissions.judge_file(PurePosixPath("/x"), mode).status == status


def test_a_clock_before_the_installation_fails() -> None:
    assert clock.judge_time(1_000_000, 1_000_000 + 3600).status == "ok"
    assert clock.judge_time(0, 1_000_000_000).status == "failed"


@pytest.mark.parametrize(("wall", "status"), [(0.25, "ok"), (0.3, "ok"), (3600, "warning"), (-5, "warning")])
def test_a_clock_that_jumps_warns(wall: float, status: str) -> None:
    assert clock.judge_pace(wall, 0.25).status == status


@pytest.mark.parametrize(
    ("state", "status"), [(0, "ok"), (1, "ok"), (5, "warning"), (-1, "warning"), (None, "warning")]
)
def test_a_clock_that_nobody_synchronises_warns(state: int | None, status: str) -> None:
    assert clock.judge_synchronised(state).status == status


@pytest.mark.parametrize(
    ("servers", "fault", "seconds", "status"),
    [(["192.0.2.1"], None, 0.1, "ok"), (["192.0.2.1"], None, 3.0, "warning"), ([], "no answer", 5.0, "warning")],
)
def test_names_warn_at_most_and_say_which_was_asked(
    servers: list[str], fault: str | None, seconds: float, status: str
) -> None:
    finding = names.judge(servers, fault, seconds)
    assert finding.status == status
    assert names.NAME in finding.detail


@pytest.mark.parametrize(
    ("loaded", "beside", "place", "status"),
    [(140, 0, "/a.pem", "ok"), (0, 140, "/certs", "ok"), (140, 0, None, "warning"), (0, 0, "/a.pem", "failed")],
)
def test_certificate_authorities(loaded: int, beside: int, place: str | None, status: str) -> None:
    assert trust.judge(loaded, beside, place).status == status


@pytest.mark.parametrize(("limit", "status"), [(1024, "failed"), (3367, "failed"), (3368, "ok"), (-1, "ok")])
def test_descriptors_must_do_for_slots_and_connections(limit: int, status: str) -> None:
    assert descriptors.judge(limit, 2048, 1000).status == status


def test_descriptors_nearly_used_up_warn() -> None:
    assert descriptors.judge_use(90, 100).status == "ok"
    assert descriptors.judge_use(91, 100).status == "warning"
    assert descriptors.judge_use(10**6, -1).status == "ok"


HERE = TcpBind("127.0.0.1", 8080)


@pytest.mark.parametrize(
    ("owners", "running", "systemd", "status", "says"),
    [
        ({1}, None, True, "ok", "systemd holds 127.0.0.1:8080 for the daemon"),
        ({1, 50}, 50, True, "ok", "The daemon (process 50) listens"),
        ({50}, 50, False, "ok", "The daemon (process 50) listens"),
        ({1}, 50, True, "warning", "started without that socket"),
        ({1}, None, False, "failed", "Another program"),
        ({1, 60}, None, True, "failed", "Another program listens on 127.0.0.1:8080 (process 1, 60)"),
        ({60}, 50, True, "failed", "Another program"),
        (set(), None, True, "warning", "cannot be seen"),
        (set(), 50, True, "warning", "cannot be seen"),
    ],
)
def test_who_listens_on_an_address_is_told_by_who_owns_the_socket(
    owners: set[int], running: int | None, systemd: bool, status: str, says: str
) -> None:
    finding = addresses.judge("server.bind", HERE, frozenset(owners), running, systemd=systemd)
    assert (finding.status, says in finding.detail) == (status, True), finding


def test_the_holders_of_a_lock_are_those_with_an_exclusive_one_on_its_inode() -> None:
    table = """\
1: POSIX  ADVISORY  WRITE 11 08:01:77 0 EOF
2: FLOCK  ADVISORY  READ 12 08:01:77 0 EOF
3: FLOCK  ADVISORY  WRITE 13 08:01:770 0 EOF
4: FLOCK  ADVISORY  WRITE 14 08:01:77 0 EOF
4: -> FLOCK  ADVISORY  WRITE 15 08:01:77 0 EOF
5: FLOCK  ADVISORY  WRITE 16 00:2c:77 0 EOF
"""
    assert holders(table, 77) == [14, 16]


def test_a_check_that_breaks_or_hangs_is_a_failure_of_its_own() -> None:
    never = threading.Event()

    def breaks() -> Iterator[Finding]:
        yield ok("one", "It is right.")
        raise ZeroDivisionError("by\x1bzero")

    def hangs() -> Iterator[Finding]:
        yield ok("one", "It is right.")
        never.wait()

    broken, hanging = list(guarded("disk", breaks)), list(guarded("disk", hangs, 0.1))
    never.set()
    assert (broken[-1].check, broken[-1].status) == ("disk", "failed")
    assert "ZeroDivisionError" in broken[-1].detail
    assert "\x1b" not in broken[-1].detail
    assert "did not end" in hanging[-1].detail
    assert hanging[-1].status == "failed"
