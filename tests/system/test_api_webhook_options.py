"""A webhook's own headers and limits through the API: checked, changed, and no header's value ever shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from api_house import URL, House, house, problem

from daemon.persistence import queries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

OWN = {"headers": {"Authorization": "Bearer s3cret", "x-b": "two"}, "timeout": 2.5, "maxConcurrent": 1}
SHOWN = {"headers": {"authorization": "***", "x-b": "***"}, "timeout": 2.5, "maxConcurrent": 1}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as running:
        yield running


async def stored(api: House, id: str) -> dict[str, str]:
    """As it is on disk."""
    webhook = await api.store.read(queries.webhook, id, None)
    assert webhook is not None
    return webhook.headers


async def test_a_registration_and_every_later_answer_hides_the_values(api: House) -> None:
    token = await api.tenant()
    made = await api.webhook(token, **OWN)
    path = f"/v1/webhooks/{made['id']}"
    shown = await api.ask("GET", path, token=token)
    listed = await api.ask("GET", "/v1/webhooks", token=token)
    renamed = await api.ask("PATCH", path, {"name": "n"}, token=token)
    for answer in (made, shown.json(), listed.json()["data"][0], renamed.json()):
        assert {name: answer[name] for name in SHOWN} == SHOWN
        assert "s3cret" not in str(answer)
    assert await stored(api, made["id"]) == {"authorization": "Bearer s3cret", "x-b": "two"}


async def test_get_edit_patch_keeps_the_values_and_changes_what_was_edited(api: House) -> None:
    token = await api.tenant()
    made = await api.webhook(token, **OWN)
    path = f"/v1/webhooks/{made['id']}"
    document = (await api.ask("GET", path, token=token)).json()
    document["headers"] = {"AUTHORIZATION": document["headers"]["authorization"], "x-c": "three"}
    document["timeout"] = 3
    answer = await api.ask("PATCH", path, document, token=token)
    assert answer.status_code == 200, answer.text
    assert answer.json()["headers"] == {"authorization": "***", "x-c": "***"}
    assert answer.json()["timeout"] == 3
    assert await stored(api, made["id"]) == {"authorization": "Bearer s3cret", "x-c": "three"}


async def test_null_takes_each_away_and_what_is_left_out_stays(api: House) -> None:
    token = await api.tenant()
    path = f"/v1/webhooks/{(await api.webhook(token, **OWN))['id']}"
    expected: dict[str, Any] = dict(SHOWN)
    for field, cleared in (("timeout", None), ("maxConcurrent", None), ("headers", {})):
        answer = (await api.ask("PATCH", path, {field: None}, token=token)).json()
        expected[field] = cleared
        assert {name: answer[name] for name in SHOWN} == expected


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"headers": {"Content-Type": "text/plain"}}, "/headers/Content-Type"),
        ({"headers": {"a/b": "x"}}, "/headers/a~1b"),
        ({"headers": {"a": "x\r\ny: z"}}, "/headers/a"),
        ({"headers": {"a": "1", "A": "2"}}, "/headers/A"),
        ({"headers": {"new": "***"}}, "/headers/new"),
        ({"headers": {"a": 1}}, "/headers"),
        ({"headers": {f"h{n}": "x" for n in range(21)}}, "/headers"),
        ({"headers": []}, "/headers"),
        ({"timeout": 0.9}, "/timeout"),
        ({"timeout": 31}, "/timeout"),
        ({"timeout": "5"}, "/timeout"),
        ({"timeout": True}, "/timeout"),
        ({"maxConcurrent": 0}, "/maxConcurrent"),
        ({"maxConcurrent": 17}, "/maxConcurrent"),
        ({"maxConcurrent": 1.5}, "/maxConcurrent"),
    ],
)
async def test_what_is_wrong_is_pointed_at_and_changes_nothing(
    api: House, fields: dict[str, Any], pointer: str
) -> None:
    token = await api.tenant()
    made = await api.webhook(token, **OWN)
    for answer in (
        await api.ask("POST", "/v1/webhooks", {"url": URL, **fields}, token=token),
        await api.ask("PATCH", f"/v1/webhooks/{made['id']}", {"name": "n", **fields}, token=token),
    ):
        assert problem(answer) == (422, "invalid", pointer)
        assert "must be" in answer.text or "headers" in answer.text
    after = (await api.ask("GET", f"/v1/webhooks/{made['id']}", token=token)).json()
    assert after["name"] is None
    assert {name: after[name] for name in SHOWN} == SHOWN


async def test_a_registrations_answer_makes_another_when_it_is_sent_again_with_its_headers_values(api: House) -> None:
    token = await api.tenant()
    made = await api.webhook(token, **OWN)
    again = await api.ask("POST", "/v1/webhooks", made, token=token)
    assert problem(again) == (422, "invalid", "/headers/authorization")
    another = await api.webhook(token, **{**made, "headers": OWN["headers"]})
    assert (another["secret"], another["headers"]) == (made["secret"], SHOWN["headers"])
    assert another["id"] != made["id"]
    document = (await api.ask("GET", "/openapi.json", token=None)).json()
    assert "put the values of its headers" in document["components"]["schemas"]["NewWebhook"]["description"]
