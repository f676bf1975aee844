"""What people and programs read."""

from __future__ import annotations

import io
import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from daemon.cli import output as output_module
from daemon.cli.failure import Failure, Problem, failure
from daemon.cli.narration import DemoFailed, Narrator, curl
from daemon.cli.output import Output, cell, fitting, flat, for_a_terminal, objects, reach, show_record, show_rows
from daemon.printable import printable

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.text(), st.booleans())
def test_nothing_from_outside_can_steer_the_terminal(text: str, lines: bool) -> None:
    shown = printable(text, lines=lines)
    assert all(character.isprintable() or (lines and character in "\n\t") for character in shown)
    shown.encode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Zürich 東京", "Zürich 東京"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb", "a\\nb"),
        ("\x9b31m", "\\x9b31m"),
        ("evil\u202egpj.exe", "evil\\u202egpj.exe"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_does_not_print_shows_as_its_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        (2.5340530000903527, "2.5"),
        ([], "-"),
        (["a", "b"], "a, b"),
        ({"a": "\x1b"}, '{"a":"\\u001b"}'),
        ("\x07", "\\x07"),
    ],
)
def test_values_read_as_people_write_them(value: object, shown: str) -> None:
    assert cell(value) == shown


@settings(max_examples=50)
@given(st.dictionaries(st.text(), JSON))
def test_any_document_can_be_shown(document: dict[str, object]) -> None:
    for _, value in flat(document):
        assert isinstance(cell(value), str)
        assert not objects(value)


def test_a_dotted_column_reaches_into_objects_and_ends_at_null() -> None:
    assert reach({"lastDelivery": {"status": "failed"}}, "lastDelivery.status") == "failed"
    assert reach({"lastDelivery": None}, "lastDelivery.status") is None
    assert reach({}, "lastDelivery.status") is None


def test_a_table_for_another_program_is_never_cut_or_folded(capsys: pytest.CaptureFixture[str]) -> None:
    url = "https://example.com/" + "x" * 2000
    show_rows([{"id": "w1X2y3Z4", "url": url}], ["id", "url"])
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.split() == ["ID", "URL"]
    assert row.split() == ["w1X2y3Z4", url]


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> io.StringIO:
    screen = io.StringIO()
    console = Console(file=screen, width=width, force_terminal=True, color_system=None)
    monkeypatch.setattr(output_module, "console_for_results", lambda: console)
    return screen


def test_a_narrow_terminal_keeps_ids_whole_and_says_which_columns_it_leaves_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = on_a_terminal(monkeypatch, 50)
    id = "dlv_0123456789abcdef0123456789abcdef"
    show_rows([{"id": id, "status": "interrupted", "errorDetail": "x" * 40}], ["id", "status", "errorDetail"])
    assert screen.getvalue().split() == ["ID", "STATUS", id, "interrupted"]
    assert "error detail" in capsys.readouterr().err


def test_a_narrow_terminal_folds_a_long_text_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = on_a_terminal(monkeypatch, 40)
    url = "https://example.com/" + "0123456789" * 20
    show_rows([{"id": "w1X2y3Z4", "url": url}], ["id", "url"])
    heading, *lines = screen.getvalue().splitlines()
    assert heading.split() == ["ID", "URL"]
    assert all(len(line.rstrip()) <= 40 for line in lines)
    assert "".join("".join(lines).split()) == "w1X2y3Z4" + url


@given(st.dictionaries(st.text(), st.lists(st.text(), min_size=1), min_size=1), st.integers(1, 200))
def test_at_least_the_first_column_stays(cells: dict[str, list[str]], width: int) -> None:
    assert 1 <= fitting(cells, width) <= len(cells)


def test_markup_of_a_console_in_a_value_stays_text(capsys: pytest.CaptureFixture[str]) -> None:
    show_record({"name": "[bold]:smile:[/]"})
    assert "[bold]:smile:[/]" in capsys.readouterr().out


def test_a_record_shows_nested_values_under_dotted_names_and_lists_of_objects_as_tables(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_record({"id": "evt_1", "timings": {"total": 3.5}, "deliveries": [{"id": "dlv_1", "status": "failed"}]})
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["timings.total", "3.5"]
    assert [line.split() for line in lines[-2:]] == [["ID", "STATUS"], ["dlv_1", "failed"]]


PAGES = [
    b'{"data":[{"id":"a"},{"id": "b"}],"next":"c1"}',
    b'{"data":[],"next":"c2"}',
    b'{"data":[{"id":"c"}],"next":null}',
]


def test_json_of_one_page_is_the_answer_to_the_byte(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=True).listing(iter(PAGES[:1]), ["id"], whole=False)
    assert capsys.readouterr().out.encode() == PAGES[0] + b"\n"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_json_on_a_terminal_means_the_same_and_cannot_steer_it(text: str) -> None:
    shown = for_a_terminal(msgspec.json.encode({"name": text})).decode()
    assert shown.isprintable()
    assert json.loads(shown) == {"name": text}


def test_json_of_all_pages_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=True).listing(iter(PAGES), ["id"], whole=True)
    assert json.loads(capsys.readouterr().out) == {"data": [{"id": "a"}, {"id": "b"}, {"id": "c"}], "next": None}


@given(st.lists(st.lists(st.integers(), max_size=3), min_size=1, max_size=5))
def test_pages_of_any_lengths_make_one_list(pages: list[list[int]]) -> None:
    bodies = (json.dumps({"data": page, "next": "more"}).encode() for page in pages)
    written = io.BytesIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", io.TextIOWrapper(written))
        Output(as_json=True).listing(bodies, [], whole=True)
        assert json.loads(written.getvalue())["data"] == [item for page in pages for item in page]


def test_a_list_that_goes_on_says_how(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False).listing(iter(PAGES[:1]), ["id"], whole=False)
    assert "--cursor c1" in capsys.readouterr().err


def test_a_failure_for_people_names_title_detail_and_each_culprit(capsys: pytest.CaptureFixture[str]) -> None:
    problem = {
        "type": "/problems/invalid",
        "title": "Storage is unavailable",
        "status": 503,
        "detail": "Correct 2 values.",
        "errors": [
            {"pointer": "/events/3/session/id", "detail": "at most 128 characters"},
            {"parameter": "limit", "detail": "1 to 200\x1b[2J"},
        ],
    }
    body = json.dumps(problem).encode()
    Output(as_json=False).failure(Failure(msgspec.json.decode(body, type=Problem), body=body, retry_after="3"))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == [
        "Error: Storage is unavailable (503)",
        "  Correct 2 values.",
        "  /events/3/session/id: at most 128 characters",
        "  limit: 1 to 200\\x1b[2J",
        "  Nothing was stored; try again in 3 s.",
    ]


def test_a_failure_for_programs_is_the_problem_document_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=True).failure(failure("the daemon cannot be reached", "Nothing answers."))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert json.loads(shown.err) == {"title": "the daemon cannot be reached", "detail": "Nothing answers."}


def test_a_demonstration_shows_no_secret_whole(capsys: pytest.CaptureFixture[str]) -> None:
    say = Narrator()
    say.conceal("tw_abcdefghijklmnop")
    say.shown('{"token":"tw_abcdefghijklmnop"}')
    with pytest.raises(DemoFailed) as failed:
        say.holds("the token works", False, "tw_abcdefghijklmnop does not.")
    assert "hijk" not in capsys.readouterr().out + str(failed.value)


def test_a_shown_command_can_be_typed() -> None:
    assert curl("POST", "http://127.0.0.1:1/v1/tenants", "$T", b"""{"name":"it's"}""") == (
        """curl -sS http://127.0.0.1:1/v1/tenants -H "Authorization: Bearer $T" """
        """-H 'Content-Type: application/json' -d '{"name":"it'"'"'s"}'"""
    )
    assert curl("GET", "http://h/v1/x", "$T", None) == """curl -sS http://h/v1/x -H "Authorization: Bearer $T\""""
    assert " -X DELETE " in curl("DELETE", "http://h/v1/x", "$T", None)
