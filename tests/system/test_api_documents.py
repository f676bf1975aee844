"""The API's own documents, as a browser or a generator of clients fetches them: no token, no network but the daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from api_house import House, house
from openapi_spec_validator import OpenAPIV31SpecValidator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PAGES = ["/docs", "/docs/metrics", "/docs/log", "/problems", "/problems/invalid"]
TYPES = {"/openapi.json": "application/json", **dict.fromkeys(PAGES, "text/html; charset=utf-8")}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path, observe=True, admin=True) as running:
        yield running


@pytest.mark.parametrize("path", TYPES)
async def test_a_document_needs_no_token_on_any_listener_and_is_not_sent_twice(api: House, path: str) -> None:
    for role in api.addresses:
        answer = await api.ask("GET", path, token=None, role=role)
        assert (answer.status_code, answer.headers["content-type"]) == (200, TYPES[path])
        for known in (answer.headers["etag"], f'"other", W/{answer.headers["etag"]}', "*"):
            again = await api.ask("GET", path, token=None, role=role, headers={"if-none-match": known})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == answer.headers["etag"]
        other = await api.ask("GET", path, token=None, role=role, headers={"if-none-match": '"other"'})
        assert other.content == answer.content


async def test_the_document_that_is_served_is_valid(api: House) -> None:
    content = (await api.ask("GET", "/openapi.json", token=None)).json()
    OpenAPIV31SpecValidator(content).validate()


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_may_load_nothing_run_nothing_and_be_framed_by_nobody(api: House, path: str) -> None:
    answer = await api.ask("GET", path, token=None)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "<script" not in answer.text
    assert 'name="viewport"' in answer.text
    assert "prefers-color-scheme:dark" in answer.text


async def test_every_metric_that_is_served_says_what_it_is_on_its_page(api: House) -> None:
    served = (await api.ask("GET", "/metrics", token=None, role="observe")).text
    page = (await api.ask("GET", "/docs/metrics", token=None)).text
    helps = [line.split(" ", 3)[2:] for line in served.splitlines() if line.startswith("# HELP ")]
    assert len(helps) > 20
    for name, meaning in helps:
        assert len(meaning) > 15, f"the help of {name} does not say what it counts"
        assert f"<code>{name}</code>" in page
