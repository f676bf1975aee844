"""One line an event, whatever the fields hold."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.model import Endpoint, Timings
from daemon.operations.rendering import TEXT_LIMIT, clean, console_line, json_line

KEYS = st.from_regex(r"[a-z_]{1,12}", fullmatch=True).filter(
    lambda key: key not in {"timestamp", "level", "event", "exc_info"}
)
TEXTS = st.text(st.characters(), max_size=400)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def rendered(**fields: object) -> dict[str, object]:
    return json.loads(json_line("info", "webhook.created", fields))


def shown(**fields: object) -> str:
    return console_line("info", "webhook.created", fields, colour=False).decode()


def texts_in(value: object) -> list[str]:
    match value:
        case str():
            return [value]
        case list():
            return [text for part in value for text in texts_in(part)]
        case dict():
            return [text for pair in value.items() for part in pair for text in texts_in(part)]
        case _:
            return []


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def test_a_json_line_begins_with_timestamp_level_and_event_and_keeps_the_order_of_the_fields() -> None:
    line = json_line("info", "webhook.created", {"tenant": "acme", "webhook": "w1", "count": 3}).decode()
    assert re.fullmatch(
        r'\{"timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z","level":"info","event":"webhook.created",'
        r'"tenant":"acme","webhook":"w1","count":3\}\n',
        line,
    )


def test_a_console_line_is_for_people() -> None:
    line = shown(tenant="acme", name="Big Shop", error=None, timings=Timings(total=1.5), ok=True, a="")
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d\.\d{3}Z info    webhook\.created        tenant=acme name=\"Big Shop\" "
        r'timings={"dns":null,"connect":null,"tls":null,"firstByte":null,"total":1\.5} ok=true a=""\n',
        line,
    )
    assert console_line("error", "x", {}, colour=True).decode().count("\x1b[") == 2


@given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_every_line_is_one_line_and_holds_only_short_printable_text(fields: dict[str, object]) -> None:
    line = json_line("info", "webhook.created", fields).decode()
    assert line.endswith("\n")
    assert line[:-1].isprintable()
    for text in texts_in(json.loads(line)):
        assert text.isprintable()
        assert len(text) <= 200
    console = shown(**fields)
    assert console.endswith("\n")
    assert console[:-1].isprintable()


@given(TEXTS)
def test_clean_text_is_left_alone_and_the_rest_is_short_and_printable(text: str) -> None:
    safe = clean(text)
    assert safe.isprintable()
    assert len(safe) <= 200
    assert clean(safe) == safe
    if text.isprintable() and len(text) <= 200:
        assert safe == text


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[31m\x9b1m\x7f", r"\x1b[31m\x9b1m\x7f"),
        ("\u202eevil\u2028", r"\u202eevil\u2028"),
        ("\ud800", r"\ud800"),
        ("Zoë 日本", "Zoë 日本"),
        ("a" * 201, "a" * 199 + "…"),
        ("\0" * 51, r"\x00" * 49 + r"\x0" + "…"),
    ],
)
def test_control_characters_and_deceptive_ones_are_escaped_and_long_text_is_cut(text: str, safe: str) -> None:
    assert clean(text) == safe
    assert rendered(detail=text)["detail"] == safe
    assert rendered(nested={"a": [text]})["nested"] == {"a": [safe]}


def test_records_of_numbers_are_written_out_and_others_say_what_they_say_of_themselves() -> None:
    class Mixed(msgspec.Struct):
        name: str

    assert rendered(timings=Timings(total=2.0))["timings"] == {
        "dns": None,
        "connect": None,
        "tls": None,
        "firstByte": None,
        "total": 2.0,
    }
    assert rendered(mixed=Mixed("a\n"))["mixed"] == clean(repr(Mixed("a\n")))
    endpoint = Endpoint(1, "w1", "acme", "https://a/?token=t0ken", (b"s3cret",))
    for line in (json_line("info", "x", {"e": endpoint}), shown(e=endpoint, secret=b"s3cret").encode()):
        assert b"s3cret" not in line
        assert b"t0ken" not in line
        assert b"czNjcmV0" not in line
    assert rendered(secret=b"s3cret")["secret"] == "6 bytes"
    assert rendered(path=Path("/a"), error=ValueError("x\n")) | {"timestamp": 0} == {
        "timestamp": 0,
        "level": "info",
        "event": "webhook.created",
        "path": "/a",
        "error": r"ValueError: x\n",
    }


def inner(secret: str) -> None:
    raise ValueError(f"bad\n{len(secret)}")


def outer() -> None:
    local = "v4lue-of-a-local"
    try:
        inner(local)
    except ValueError as error:
        raise RuntimeError("b" * 500) from error


def test_an_exception_is_its_type_its_text_and_one_line_of_frames_without_values() -> None:
    with pytest.raises(RuntimeError) as caught:
        outer()
    line = rendered(exc_info=caught.value)
    assert line["exception"] == clean("RuntimeError: " + "b" * 500)
    traceback = line["traceback"]
    assert isinstance(traceback, str)
    me = re.escape(__name__)
    assert re.fullmatch(
        rf"{me}:\d+ test_an_exception\w+ > {me}:\d+ outer; "
        rf"caused by ValueError: bad\\n16 \({me}:\d+ outer > {me}:\d+ inner\)",
        traceback,
    )
    assert "v4lue" not in str(line)
    assert "exception=" in shown(exc_info=caught.value)


def test_the_exception_being_handled_and_logging_s_triple_are_understood() -> None:
    try:
        raise KeyError("k")
    except KeyError as error:
        assert rendered(exc_info=True)["exception"] == "KeyError: 'k'"
        triple = (KeyError, error, error.__traceback__)
        assert rendered(exc_info=triple)["exception"] == "KeyError: 'k'"
    assert "exception" not in rendered(exc_info=True)
    assert "exception" not in rendered(exc_info=(None, None, None))
    assert "exception" not in rendered(exc_info=None)


def test_groups_chains_and_cycles_are_told_within_bounds() -> None:
    group = raised(ExceptionGroup("many", [raised(OSError(str(number))) for number in range(20)]))
    traceback = str(rendered(exc_info=group)["traceback"])
    assert "[1] OSError: 0 (" in traceback
    assert traceback.endswith("; and 12 more")

    def tree(depth: int) -> BaseException:
        return raised(ExceptionGroup("g", [tree(depth - 1) for _ in range(8)]) if depth else ValueError("leaf"))

    assert len(str(rendered(exc_info=tree(3))["traceback"])) < 20_000

    first, second = raised(ValueError("a")), raised(ValueError("b"))
    first.__cause__, second.__cause__ = second, first
    assert str(rendered(exc_info=first)["traceback"]).count("caused by") == 2

    def recurse() -> None:
        recurse()

    with pytest.raises(RecursionError) as caught:
        recurse()
    assert re.search(r"… \d+ more …", str(rendered(exc_info=caught.value)["traceback"]))


def test_a_traceback_is_not_cut() -> None:
    def down(levels: int) -> None:
        if not levels:
            raise RuntimeError
        down(levels - 1)

    with pytest.raises(RuntimeError) as raised:
        down(20)
    line = json.loads(json_line("error", "x", {"exc_info": raised.value}))
    assert line["traceback"].count("down") == 21
    assert len(line["traceback"]) > TEXT_LIMIT
