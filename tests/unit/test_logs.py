"""The logger that every room uses, from `start` to `close`."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import subprocess
import sys
import warnings

import pytest
from msgspec import Struct

from daemon.operations.logs import get_logger, start
from daemon.settings import LoggingSettings

log = get_logger()


def logged(settings: LoggingSettings, *calls: object) -> str:
    stream = io.StringIO()
    writer = start(settings, stream)
    try:
        for call in calls:
            assert callable(call)
            call()
    finally:
        assert writer.close(5)
    return stream.getvalue()


def json_of(*calls: object, level: str = "info") -> list[dict[str, object]]:
    settings = LoggingSettings(level=level, format="json")
    return [json.loads(line) for line in logged(settings, *calls).splitlines()]


def without_timestamp(lines: list[dict[str, object]]) -> list[dict[str, object]]:
    assert all(line.pop("timestamp") for line in lines)
    return lines


def test_a_logger_made_at_import_writes_where_start_says() -> None:
    lines = json_of(
        lambda: log.info("webhook.created", tenant="acme", webhook="w1"),
        lambda: log.warning("delivery.postponed", count=2),
        lambda: log.error("storage.failing", reason="disk\nfull"),
    )
    assert without_timestamp(lines) == [
        {"level": "info", "event": "webhook.created", "tenant": "acme", "webhook": "w1"},
        {"level": "warning", "event": "delivery.postponed", "count": 2},
        {"level": "error", "event": "storage.failing", "reason": r"disk\nfull"},
    ]


class Attempted(Struct):
    tenant: str
    status_code: int | None


def test_a_record_is_the_line_that_its_fields_would_be() -> None:
    record = Attempted("acme", None)
    by_record = json_of(lambda: log.record("delivery.attempted", record))
    by_fields = json_of(lambda: log.info("delivery.attempted", tenant="acme", status_code=None))
    assert without_timestamp(by_record) == without_timestamp(by_fields)
    assert list(by_record[0]) == ["level", "event", "tenant", "status_code"]
    console = logged(LoggingSettings(format="console"), lambda: log.record("delivery.attempted", record))
    assert console.endswith("tenant=acme\n")
    assert json_of(lambda: log.record("delivery.attempted", record), level="warning") == []


@pytest.mark.parametrize(("level", "seen"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_a_level_hides_those_below_it_and_never_looks_at_their_fields(level: str, seen: int) -> None:
    class Field:
        looked_at = 0

        def __str__(self) -> str:
            self.looked_at += 1
            return "field"

    field = Field()
    lines = json_of(
        lambda: log.debug("x", field=field),
        lambda: log.info("x", field=field),
        lambda: log.warning("x", field=field),
        lambda: log.error("x", field=field),
        level=level,
    )
    assert len(lines) == seen == field.looked_at


def test_exception_adds_the_one_being_handled() -> None:
    def fail() -> None:
        try:
            raise LookupError("no\nsuch")
        except LookupError:
            log.exception("http.failed", route="/v1/events")

    (line,) = json_of(fail)
    assert line["level"] == "error"
    assert line["exception"] == r"LookupError: no\nsuch"
    assert str(line["traceback"]).startswith(f"{__name__}:")
    assert list(line) == ["timestamp", "level", "event", "route", "exception", "traceback"]


def test_a_field_that_cannot_be_shown_costs_its_line_not_the_work() -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("never")

    cycle: list[object] = []
    cycle.append(cycle)
    lines = json_of(lambda: log.info("a", broken=Broken()), lambda: log.info("b", cycle=cycle), lambda: log.info("c"))
    assert [line["event"] for line in lines] == ["a", "b", "c"]
    assert lines[0]["unrendered"] == "RuntimeError while rendering broken"


def test_libraries_and_warnings_come_through_the_same_writer_from_warning_up() -> None:
    def library() -> None:
        logging.getLogger("hypercorn.error").info("Running on http://secret")
        logging.getLogger("hypercorn.error").warning("bad %s", "a\nb")
        logging.getLogger("quart.app").warning("%d", "not a number")
        try:
            raise OSError("broken")
        except OSError:
            logging.getLogger("quart.app").exception("Exception on request")

    def warn() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(False)
            logging.captureWarnings(True)
            warnings.warn("old\nthing", DeprecationWarning, stacklevel=1)

    lines = without_timestamp(json_of(library, warn))
    assert lines[:2] == [
        {"level": "warning", "event": "library.message", "logger": "hypercorn.error", "message": r"bad a\nb"},
        {"level": "warning", "event": "library.message", "logger": "quart.app", "message": "%d"},
    ]
    assert lines[2]["level"] == "error"
    assert lines[2]["exception"] == "OSError: broken"
    assert lines[3]["logger"] == "py.warnings"
    assert r"DeprecationWarning: old\nthing" in str(lines[3]["message"])
    assert len(lines) == 4


def test_after_a_close_all_is_as_before(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before = (root.handlers, root.level)
    stream = io.StringIO()
    writer = start(LoggingSettings(level="error"), stream)
    assert writer.close(5)
    assert (root.handlers, root.level) == before
    log.info("a")
    log.warning("b", x=1)
    assert stream.getvalue() == ""
    assert capsys.readouterr().err.split()[1:] == ["warning", "b", "x=1"]


def test_auto_is_for_people_on_a_terminal_and_json_elsewhere() -> None:
    assert logged(LoggingSettings(), lambda: log.info("x")).startswith("{")
    assert " info    x" in logged(LoggingSettings(format="console"), lambda: log.info("x"))
    main, child = pty.openpty()
    try:
        with os.fdopen(child, "w") as terminal:
            writer = start(LoggingSettings(), terminal)
            log.info("daemon.ready", text="\x1b[2J")
            assert writer.close(5)
            seen = os.read(main, 1000).decode()
    finally:
        os.close(main)
    assert "\x1b[32minfo   \x1b[0m daemon.ready" in seen
    assert r"text=\x1b[2J" in seen


STALLED = """
import sys
from daemon.operations.logs import get_logger, start
from daemon.settings import LoggingSettings
writer = start(LoggingSettings(format="json"), sys.stdout)
for _ in range(100_000):
    get_logger().info("delivery.attempted", tenant="acme")
closed = writer.close(0.2)
get_logger().error("after")
print(closed, writer.dropped > 0, file=sys.stderr)
"""


def test_a_process_whose_log_nobody_reads_ends_by_itself() -> None:
    with subprocess.Popen([sys.executable, "-c", STALLED], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr
        assert process.wait(20) == 0
        assert process.stderr.read() == b"False True\n"
