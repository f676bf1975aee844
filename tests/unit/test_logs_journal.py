"""The log under systemd: entries at a real datagram socket that stands where journald's is."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from journal_socket import JournalSocket
from msgspec import Struct

from daemon.operations.journald import JournalSink
from daemon.operations.log_writer import LogWriter
from daemon.operations.logs import adjust, get_logger, start
from daemon.operations.rendering import json_line
from daemon.settings import LoggingSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

log = get_logger()
JOURNAL = LoggingSettings(format="journal")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "socket"


@pytest.fixture
def journal(path: Path) -> Iterator[JournalSocket]:
    journal = JournalSocket(path)
    yield journal
    journal.close()


class WatchedSink(JournalSink):
    """Says how many writes were begun, and how many of them failed."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.begun = self.failed = 0
        self._changed = threading.Condition()

    def write(self, data: memoryview) -> int:
        self._count(begun=1)
        try:
            return super().write(data)
        except OSError:
            self._count(failed=1)
            raise

    def _count(self, *, begun: int = 0, failed: int = 0) -> None:
        with self._changed:
            self.begun += begun
            self.failed += failed
            self._changed.notify_all()

    def wait(self, *, begun: int = 0, failed: int = 0) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.begun >= begun and self.failed >= failed, 5)


def line(text: object) -> bytes:
    return json_line("info", str(text), {})


def missing(count: int) -> bytes:
    return json_line("warning", "log.dropped", {"lines": count})


def writing(path: Path, buffer_bytes: int = 8 << 20) -> LogWriter:
    return LogWriter(JournalSink(path), missing, buffer_bytes=buffer_bytes)


def test_what_is_logged_is_an_entry_and_the_stream_stays_empty(journal: JournalSocket, path: Path) -> None:
    class Attempted(Struct):
        tenant: str
        delivery: str
        error: str | None

    stream = io.StringIO()
    writer = start(JOURNAL, stream, journal=path)
    log.record("delivery.attempted", Attempted("acme", "dlv_1", None))
    log.error("storage.failing", reason="disk\nfull")
    assert writer.close(5)
    attempted, failing = dict(journal.entry()), dict(journal.entry())
    assert attempted["MESSAGE"] == "delivery.attempted tenant=acme delivery=dlv_1"
    assert attempted["TENANT"] == "acme"
    assert attempted["DELIVERY"] == "dlv_1"
    assert failing["PRIORITY"] == "3"
    assert failing["REASON"] == r"disk\nfull"
    assert stream.getvalue() == ""


def test_entries_arrive_each_for_itself_and_in_order(journal: JournalSocket, path: Path) -> None:
    writer = writing(path)
    for number in range(1000):
        writer.write(line(number))
    assert [journal.message() for _ in range(1000)] == [str(number) for number in range(1000)]
    assert writer.close(5)


def test_an_entry_too_large_for_a_datagram_arrives_all_the_same(journal: JournalSocket, path: Path) -> None:
    writer = start(JOURNAL, io.StringIO(), journal=path)
    large = [["x" * 200]] * 2000
    log.info("event.accepted", tenants=large)
    log.info("next")
    assert json.loads(dict(journal.entry())["TENANTS"]) == large
    assert journal.by_descriptor == 1
    assert journal.message() == "next"
    assert writer.close(5)


def test_a_journald_that_stalls_blocks_nobody_and_what_is_lost_is_counted_where_it_is_missing(
    journal: JournalSocket, path: Path
) -> None:
    writer = writing(path, buffer_bytes=20_000)
    for number in range(1000):
        writer.write(line(number))
    assert 0 < writer.dropped < 1000
    kept = 1000 - writer.dropped
    entries = [dict(journal.entry()) for _ in range(kept)]
    assert [entry["MESSAGE"] for entry in entries] == [str(number) for number in range(kept)]
    writer.write(line("after"))
    assert writer.close(5)
    *told, after = journal.until("after")
    assert [entry["MESSAGE"] for entry in told] == [f"log.dropped lines={writer.dropped}"]
    assert after["EVENT"] == "after"


def test_close_gives_up_on_a_stalled_journald_in_time_and_counts_what_it_leaves(
    journal: JournalSocket, path: Path
) -> None:
    writer = writing(path)
    for number in range(1000):
        writer.write(line(number))
    began = time.monotonic()
    assert not writer.close(0.1)
    assert time.monotonic() - began < 2
    sent = 1000 - writer.dropped
    assert [journal.message() for _ in range(sent)] == [str(number) for number in range(sent)]


def test_a_journald_that_is_started_anew_gets_what_comes_meanwhile(journal: JournalSocket, path: Path) -> None:
    sink = WatchedSink(path)
    writer = LogWriter(sink, missing)
    writer.write(line("before"))
    assert journal.message() == "before"
    journal.close()
    for number in range(100):
        writer.write(line(number))
    sink.wait(failed=1)
    anew = JournalSocket(path)
    assert [anew.message() for _ in range(100)] == [str(number) for number in range(100)]
    assert writer.close(5)
    assert writer.dropped == 0
    anew.close()


def test_an_entry_that_waits_for_a_journald_that_dies_goes_to_the_next_one(journal: JournalSocket, path: Path) -> None:
    sink = WatchedSink(path)
    writer = LogWriter(sink, missing)
    for number in range(1000):
        writer.write(line(number))
    full = int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text()) + 1
    sink.wait(begun=full + 1)
    journal.close()
    sink.wait(failed=1)
    anew = JournalSocket(path)
    assert [anew.message() for _ in range(1000 - full)] == [str(number) for number in range(full, 1000)]
    assert writer.close(5)
    assert writer.dropped == 0
    anew.close()


def connected() -> tuple[socket.socket, io.TextIOWrapper]:
    """What the service manager makes of a standard stream: the reader, and the stream."""
    reader, writer = socket.socketpair()
    reader.settimeout(5)
    return reader, os.fdopen(writer.detach(), "w")


def named(descriptor: int) -> str:
    status = os.fstat(descriptor)
    return f"{status.st_dev}:{status.st_ino}"


def test_auto_is_the_journal_where_the_output_leads_to_it(
    journal: JournalSocket, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, stream = connected()
    with reader, stream:
        monkeypatch.setenv("JOURNAL_STREAM", named(stream.fileno()))
        writer = start(LoggingSettings(), stream, journal=path)
        log.info("daemon.ready")
        assert writer.close(5)
    assert journal.message() == "daemon.ready"


@pytest.mark.parametrize("journal_stream", ["", "1", "1:2", "1:2:3", "x:y", "\n"])
def test_auto_is_json_where_the_output_leads_elsewhere(
    journal_stream: str, journal: JournalSocket, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, stream = connected()
    with reader, stream:
        monkeypatch.setenv("JOURNAL_STREAM", journal_stream)
        writer = start(LoggingSettings(), stream, journal=path)
        log.info("daemon.ready")
        assert writer.close(5)
        assert json.loads(reader.recv(1000))["event"] == "daemon.ready"


def test_auto_is_json_in_a_container_without_journald(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, stream = connected()
    with reader, stream:
        monkeypatch.setenv("JOURNAL_STREAM", named(stream.fileno()))
        writer = start(LoggingSettings(), stream, journal=path)
        log.info("daemon.ready")
        assert writer.close(5)
        assert json.loads(reader.recv(1000))["event"] == "daemon.ready"


def test_journal_without_a_journald_is_json_and_says_so_first(path: Path) -> None:
    stream = io.StringIO()
    writer = start(JOURNAL, stream, journal=path)
    log.info("daemon.ready")
    assert writer.close(5)
    warning, ready = map(json.loads, stream.getvalue().splitlines())
    assert warning["level"] == "warning"
    assert warning["event"] == "log.no_journal"
    assert str(path) in warning["reason"]
    assert 'logging.format = "auto"' in warning["reason"]
    assert ready["event"] == "daemon.ready"


def test_a_reload_may_change_where_the_log_goes(journal: JournalSocket, path: Path) -> None:
    stream = io.StringIO()
    writer = start(LoggingSettings(format="json"), stream, journal=path)
    log.info("first")
    adjust(LoggingSettings(format="json"), stream, writer, journal=path)
    adjust(JOURNAL, stream, writer, journal=path)
    log.info("second")
    journal.until("second")
    adjust(LoggingSettings(format="console", level="warning"), stream, writer, journal=path)
    log.info("hidden")
    log.warning("third")
    assert writer.close(5)
    assert stream.getvalue().split()[-2:] == ["warning", "third"]


LOGGED = """
import os, sys
from pathlib import Path
from daemon.operations.logs import adjust, get_logger, start
from daemon.settings import LoggingSettings
status = os.fstat(2)
os.environ["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}"
writer = start(LoggingSettings(), sys.stdout, journal=Path(sys.argv[1]))
get_logger().info("daemon.ready")
assert writer.close(5)
"""


def test_standard_error_stands_for_both_streams_unless_standard_output_is_a_file(
    journal: JournalSocket, path: Path, tmp_path: Path
) -> None:
    output = tmp_path / "output"
    ends = socket.socketpair(), socket.socketpair()
    command = [sys.executable, "-c", LOGGED, str(path)]
    with ends[0][0], ends[0][1], ends[1][0], ends[1][1], output.open("wb") as file:
        subprocess.run(command, stdout=ends[0][1], stderr=ends[1][1], timeout=20, check=True)
        subprocess.run(command, stdout=file, stderr=ends[1][1], timeout=20, check=True)
    assert journal.message() == "daemon.ready"
    assert json.loads(output.read_text())["event"] == "daemon.ready"
