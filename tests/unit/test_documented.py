"""Whatever an operator may meet is documented: events of the log, metrics, problems; settings by test_settings_file."""

from __future__ import annotations

import ast
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daemon.event_types.catalogue import Catalogue
from daemon.front_end.catalogue import KINDS
from daemon.front_end.docs.api import api_page
from daemon.front_end.docs.operators import log_page, metrics_page
from daemon.front_end.docs.problems import index_page, problem_page
from daemon.front_end.openapi import document
from daemon.front_end.routes import ROUTES
from daemon.operations.log_events import LOG_EVENTS
from daemon.operations.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

DAEMON = Path(__file__).parents[2] / "daemon"
LEVELS = {"debug", "info", "warning", "error", "exception", "record"}
EVENT = re.compile(r"[a-z_]+\.[a-z_]+")
PAGES = {
    "/docs": api_page(document(ROUTES, Catalogue({})).content),
    "/docs/log": log_page(),
    "/problems": index_page(),
    **{kind.type: problem_page(kind, [("redeliver", "Deliver again")]) for kind in KINDS.values()},
}


def logged() -> Iterator[tuple[str, str]]:
    """Every event that the code logs, and where: the first argument of a level's method, of `log` and of `render`."""
    for file in sorted(DAEMON.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield from ((name, f"{file.relative_to(DAEMON)}:{node.lineno}") for name in _events(node, file))


def _events(call: ast.Call, file: Path) -> list[str]:
    called = call.func
    name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
    of_log = isinstance(called, ast.Attribute) and "log" in ast.unparse(called.value)
    texts = [one.value for one in call.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    if name in LEVELS and of_log and not texts:
        # Its name is in a table of the same file: all there that look like names of events are.
        found = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        constants = (one.value for one in found if isinstance(one, ast.Constant) and isinstance(one.value, str))
        texts = [text for text in constants if EVENT.fullmatch(text)]
        assert texts, f"{file.name}:{call.lineno}: write the name of an event where it is logged, or in a table there"
        return texts
    if (name in LEVELS and of_log) or name == "log":
        return texts[:1]
    return [text for text in texts if EVENT.fullmatch(text)] if name == "render" else []


def test_every_event_of_the_log_is_documented_and_every_one_documented_is_logged() -> None:
    found = dict(logged())
    assert len(found) > 30
    missing = {name: where for name, where in found.items() if name not in LOG_EVENTS}
    assert not missing, f"say what these mean in daemon/operations/log_events.py: {missing}"
    assert not set(LOG_EVENTS) - set(found), "nobody logs these any more: take them out of log_events.py"
    assert all(EVENT.fullmatch(name) and len(meaning) > 15 for name, meaning in LOG_EVENTS.items())


async def test_every_metric_says_what_it_is() -> None:
    described = await Metrics().described()
    assert len(described) > 10
    for name, _, meaning in described:
        assert len(meaning) > 15, f"the help of {name} does not say what it counts"
    page = metrics_page(described).decode()
    assert all(f"<code>{name}</code>" in page for name, _, _ in described)


@pytest.mark.parametrize("slug", KINDS)
def test_every_problem_has_a_page_that_says_what_to_change(slug: str) -> None:
    kind = KINDS[slug]
    assert len(kind.meaning) > 30
    assert len(kind.remedy) > 30
    assert kind.example, f"{slug} has no example of a detail"
    assert f'href="{kind.type}"' in PAGES["/problems"].decode()
    assert f"&quot;type&quot;: &quot;{kind.type}&quot;" in PAGES[kind.type].decode()


class Reading(HTMLParser):
    """Ids, links within the daemon, and whatever a page would load or run."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids += [given["id"] or ""] if "id" in given else []
        self.links += [given["href"] or ""] if tag == "a" else []
        if tag in ("script", "link", "img", "iframe", "form") or "style" in given or "src" in given:
            self.loaded.append(tag)


def test_pages_load_nothing_and_their_links_lead_somewhere() -> None:
    read = {path: Reading(page) for path, page in PAGES.items()}
    elsewhere = {"/docs/metrics", "/openapi.json"}
    for path, page in read.items():
        assert not page.loaded
        assert len(set(page.ids)) == len(page.ids), path
        for link in page.links:
            there, _, anchor = link.partition("#")
            assert there in {"", *PAGES, *elsewhere}, (path, link)
            assert not anchor or anchor in read[there or path].ids, (path, link)


def test_the_page_of_the_api_has_every_route_with_a_command_for_it() -> None:
    page = PAGES["/docs"].decode()
    for route in ROUTES:
        assert f'<h3 id="{route.name}">' in page
    assert page.count("<code>curl ") == len(ROUTES)
