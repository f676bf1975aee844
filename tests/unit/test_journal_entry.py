"""What a log line is as an entry of systemd's journal, sent as the daemon sends it and read as journald reads it."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from journal_socket import JournalSocket
from msgspec import Struct

from daemon.model import Timings
from daemon.operations.journal_entry import entry
from daemon.operations.journald import JournalSink
from daemon.operations.rendering import json_line, json_record

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = st.text(max_size=80).filter(lambda key: key not in {"timestamp", "level", "event", "exc_info"})
TEXTS = st.text(st.characters(), max_size=300)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.binary(),
    lambda inner: st.lists(inner, max_size=40) | st.dictionaries(TEXTS | st.just("priority"), inner, max_size=40),
    max_leaves=50,
)
ALWAYS = ("MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "EVENT", "TIMESTAMP")


@pytest.fixture(scope="module")
def journal() -> Iterator[tuple[JournalSocket, JournalSink]]:
    with TemporaryDirectory() as folder:
        journal = JournalSocket(Path(folder, "socket"))
        sink = JournalSink(Path(folder, "socket"))
        yield journal, sink
        sink.close()
        journal.close()


def of(level: str = "info", event: str = "webhook.created", **fields: object) -> list[tuple[str, str]]:
    return [pair for pair in entry(json_line(level, event, fields)) if pair[0] != "TIMESTAMP"]


def test_an_entry_has_its_message_its_priority_and_each_field_by_itself() -> None:
    timings = Timings(connect=1.5, first_byte=20.0)
    assert of(tenant="acme", status_code=200, error=None, timings=timings, redelivery=False, name="Big Shop") == [
        (
            "MESSAGE",
            'webhook.created tenant=acme status_code=200 timings={"dns":null,"connect":1.5,"tls":null,'
            '"firstByte":20.0,"total":null} redelivery=false name="Big Shop"',
        ),
        ("PRIORITY", "6"),
        ("SYSLOG_IDENTIFIER", "tenant-webhooks"),
        ("EVENT", "webhook.created"),
        ("TENANT", "acme"),
        ("STATUS_CODE", "200"),
        ("TIMINGS_CONNECT", "1.5"),
        ("TIMINGS_FIRST_BYTE", "20.0"),
        ("REDELIVERY", "false"),
        ("NAME", "Big Shop"),
    ]
    (timestamp,) = [value for name, value in entry(json_line("info", "x", {})) if name == "TIMESTAMP"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", timestamp)


@pytest.mark.parametrize(("level", "priority"), [("debug", "7"), ("info", "6"), ("warning", "4"), ("error", "3")])
def test_the_priority_is_syslog_s(level: str, priority: str) -> None:
    assert dict(of(level))["PRIORITY"] == priority


def test_a_short_list_is_found_by_each_of_its_values_and_what_is_larger_or_deeper_is_json() -> None:
    found = of(
        permissions=["a", 1, None],
        empty=[],
        many=list(range(33)),
        deep=[["x"]],
        table={"no name": 1},
        wide={f"k{n}": n for n in range(33)},
        nested={"a": {"b": 1}},
    )[4:]
    assert found[:4] == [("PERMISSIONS", "a"), ("PERMISSIONS", "1"), ("PERMISSIONS", "null"), ("EMPTY", "[]")]
    assert [name for name, _ in found[4:]] == ["MANY", "DEEP", "TABLE", "WIDE", "NESTED"]
    assert json.loads(dict(found)["MANY"]) == list(range(33))
    assert dict(found)["NESTED"] == '{"a":{"b":1}}'


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("event_id", "EVENT_ID"),
        ("firstByte", "FIRST_BYTE"),
        ("_pid", "FIELD__PID"),
        ("1st", "FIELD_1ST"),
        ("", "FIELD_"),
        ("a=b\nPRIORITY=0", "A_B_PRIORITY_0"),
        ("message", "FIELD_MESSAGE"),
        ("priority", "FIELD_PRIORITY"),
        ("syslog_identifier", "FIELD_SYSLOG_IDENTIFIER"),
        ("größe", "GR_SSE"),
        ("x" * 70, "X" * 64),
    ],
)
def test_every_name_is_one_that_journald_takes_and_none_means_something_else(key: str, name: str) -> None:
    assert of(**{key: "v"})[4:] == [(name, "v")]


def test_text_of_a_record_that_should_not_have_come_is_escaped_too() -> None:
    class Record(Struct):
        tenant: str
        status: str

    found = entry(json_record("info", "delivery.attempted", Record("a\nPRIORITY=0", "a b\n\x1b[2J")))
    assert dict(found)["MESSAGE"] == r'delivery.attempted tenant="a\nPRIORITY=0" status="a b\n\u001b[2J"'
    assert found[5:] == [("TENANT", r"a\nPRIORITY=0"), ("STATUS", r"a b\n\x1b[2J")]


def test_an_exception_and_its_traceback_are_fields() -> None:
    try:
        raise LookupError("no\nsuch")
    except LookupError as error:
        found = dict(of("error", exc_info=error))
    assert found["EXCEPTION"] == r"LookupError: no\nsuch"
    assert found["TRACEBACK"].startswith(f"{__name__}:")


@given(st.dictionaries(KEYS, VALUES, max_size=8))
def test_whatever_the_fields_are_journald_reads_them_and_nothing_else(
    journal: tuple[JournalSocket, JournalSink], fields: dict[str, object]
) -> None:
    socket, sink = journal
    try:
        line = json_line("warning", "webhook.created", dict(fields))
    except UnicodeError:  # half a character in a name: the logger says so instead
        return
    assert sink.write(memoryview(line)) == len(line)
    received = socket.entry()
    said = json.loads(line)
    for name, value in received:
        assert re.fullmatch(r"[A-Z][A-Z0-9_]{0,63}", name)
        assert value.isprintable()
    once = Counter(name for name, _ in received)
    assert [once[name] for name in ALWAYS] == [1] * len(ALWAYS)
    assert dict(received[1:5]) == {
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "tenant-webhooks",
        "EVENT": "webhook.created",
        "TIMESTAMP": said["timestamp"],
    }
    assert dict(received)["MESSAGE"].startswith("webhook.created")
    del said["timestamp"], said["level"], said["event"]
    values = [value for _, value in received[5:]]
    for value in said.values():
        take(values, value)
    assert not values


def take(values: list[str], said: object) -> None:
    """Take what stands for one field from the front of the entry's values: itself, its JSON, or its parts."""
    if said is None:
        return
    if isinstance(said, list | dict) and not (values and is_json_of(values[0], said)):
        for part in said if isinstance(said, list) else [part for part in said.values() if part is not None]:
            take_plain(values, part)
    else:
        take_plain(values, said)


def take_plain(values: list[str], said: object) -> None:
    value = values.pop(0)
    assert value == said if isinstance(said, str) else json.loads(value) == said


def is_json_of(value: str, said: object) -> bool:
    try:
        return json.loads(value) == said
    except ValueError:
        return False


@pytest.mark.parametrize("line", [b"no json", b"[]", b"{}", b'{"level":"info"}', b"[" * 5000, b"\xff\n\0"])
def test_a_line_that_cannot_be_taken_apart_is_an_entry_all_the_same(line: bytes) -> None:
    ((_, message), *rest) = entry(line)
    assert message.isprintable()
    assert rest == [("PRIORITY", "6"), ("SYSLOG_IDENTIFIER", "tenant-webhooks")]
