"""Signing secrets over the API: brought along, read, rotated; shown to their owner and nobody else. That none is
logged is in test_api_records."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
import trio
from api_house import URL, House, house, problem

from daemon.persistence import queries

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PREFIXES = ("/v1/webhooks", "/v1/tenant/webhooks", "/v1/onboard/webhooks")


def own(size: int, fill: bytes = b"k") -> str:
    return "whsec_" + base64.b64encode(fill * size).decode()


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as running:
        yield running


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_the_secret_can_be_read_again_and_is_kept_by_no_cache(api: House, prefix: str) -> None:
    token = await api.tenant()
    made = await api.webhook(token)
    answer = await api.ask("GET", f"{prefix}/{made['id']}/secret", token=token)
    assert answer.status_code == 200
    assert answer.json() == {"secret": made["secret"], "created": made["created"], "previous": []}
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_a_rotation_answers_with_the_new_secret_and_when_the_old_one_ends(api: House, prefix: str) -> None:
    token = await api.tenant()
    made = await api.webhook(token)
    path = f"{prefix}/{made['id']}"
    answer = await api.ask("POST", f"{path}/secret/rotate", {"overlapHours": 168}, token=token)
    assert answer.status_code == 200
    rotated = answer.json()
    assert rotated["secret"].startswith("whsec_")
    assert rotated["secret"] != made["secret"]
    [previous] = rotated["previous"]
    assert previous["created"] == made["created"]
    assert previous["expires"][:10] > rotated["created"][:10]
    assert made["secret"] not in answer.text
    assert (await api.ask("GET", f"{path}/secret", token=token)).json() == rotated
    assert (await api.ask("GET", path, token=token)).json()["updated"] == made["updated"]


async def test_without_a_body_the_overlap_is_a_day(api: House) -> None:
    token = await api.tenant()
    webhook = await api.webhook(token)
    for sent in ({"content": b""}, {"json": {}}, {"json": {"overlapHours": None, "secret": None}}):
        answer = await api.ask("POST", f"/v1/webhooks/{webhook['id']}/secret/rotate", token=token, **sent)
        assert answer.status_code == 200, sent
    seq = (await api.store.read(queries.webhook, webhook["id"], None)).seq
    now, *older = await api.store.read(queries.secrets, seq)
    assert now.expires is None
    assert all(0 <= now.created + 86_400_000 - (old.expires or 0) < 60_000 for old in older)


async def test_an_overlap_of_0_ends_every_older_secret_at_once(api: House) -> None:
    token = await api.tenant()
    path = f"/v1/webhooks/{(await api.webhook(token))['id']}/secret/rotate"
    for _ in range(3):
        assert (await api.ask("POST", path, token=token)).status_code == 200
    assert (await api.ask("POST", path, {"overlapHours": 0}, token=token)).json()["previous"] == []


async def test_too_many_secrets_at_once_are_refused_with_the_way_out(api: House) -> None:
    token = await api.tenant()
    path = f"/v1/webhooks/{(await api.webhook(token))['id']}/secret"
    for _ in range(4):
        assert (await api.ask("POST", f"{path}/rotate", token=token)).status_code == 200
    before = (await api.ask("GET", path, token=token)).json()
    answer = await api.ask("POST", f"{path}/rotate", token=token)
    assert problem(answer)[:2] == (409, "limit-reached")
    assert "overlapHours" in answer.json()["detail"]
    assert (await api.ask("GET", path, token=token)).json() == before
    assert (await api.ask("POST", f"{path}/rotate", {"overlapHours": 0}, token=token)).status_code == 200


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"overlapHours": -1}, "/overlapHours"),
        ({"overlapHours": 169}, "/overlapHours"),
        ({"overlapHours": 1.5}, "/overlapHours"),
        ({"overlapHours": "24"}, "/overlapHours"),
        ({"secret": own(23)}, "/secret"),
        ({"overlap": 1}, "/overlap"),
        ([], ""),
    ],
)
async def test_a_rotation_that_is_not_valid_changes_nothing(api: House, document: object, place: str) -> None:
    token = await api.tenant()
    made = await api.webhook(token)
    path = f"/v1/webhooks/{made['id']}/secret"
    assert problem(await api.ask("POST", f"{path}/rotate", document, token=token)) == (422, "invalid", place)
    assert (await api.ask("GET", path, token=token)).json()["secret"] == made["secret"]


@pytest.mark.parametrize("size", [24, 32, 33, 64])
async def test_a_secret_of_ones_own_is_taken_at_registration_and_rotation(api: House, size: int) -> None:
    token = await api.tenant()
    made = await api.webhook(token, secret=own(size))
    path = f"/v1/webhooks/{made['id']}/secret"
    assert made["secret"] == own(size)
    assert (await api.ask("GET", path, token=token)).json()["secret"] == own(size)
    other = own(size, b"o")
    rotated = await api.ask("POST", f"{path}/rotate", {"secret": other}, token=token)
    assert rotated.json()["secret"] == other
    again = await api.ask("POST", f"{path}/rotate", {"secret": other}, token=token)
    assert problem(again) == (409, "conflict", "/secret")
    back = await api.ask("POST", f"{path}/rotate", {"secret": own(size)}, token=token)
    assert len(back.json()["previous"]) == 1, "the one that was rolled back signs on, the restored one once"


@pytest.mark.parametrize(
    "secret",
    [own(23), own(65), "", "whsec_", own(32)[6:], own(32) + "=", own(32).rstrip("="), own(32) + "\n", "whsec_é" * 9,
     own(32)[:-2] + "t=", 7, ["whsec_"], {}],
    ids=repr,
)  # fmt: skip
async def test_what_is_no_secret_is_pointed_at_and_not_repeated(api: House, secret: object) -> None:
    token = await api.tenant()
    answer = await api.ask("POST", "/v1/webhooks", {"url": URL, "secret": secret}, token=token)
    assert problem(answer) == (422, "invalid", "/secret")
    if isinstance(secret, str) and len(secret) > 8:
        assert secret.strip() not in answer.text
    assert (await api.ask("GET", "/v1/webhooks", token=token)).json()["data"] == []


async def test_another_tenant_and_a_token_without_the_permission_see_and_change_nothing(api: House) -> None:
    token = await api.tenant()
    other, publisher = await api.tenant("globex"), await api.token("acme", "publish_events")
    made = await api.webhook(token)
    path = f"/v1/webhooks/{made['id']}/secret"
    for method, place in (("GET", path), ("POST", f"{path}/rotate")):
        assert problem(await api.ask(method, place, token=other))[:2] == (404, "not-found")
        assert problem(await api.ask(method, place, token=publisher))[:2] == (403, "forbidden")
        assert problem(await api.ask(method, place, token=None))[:2] == (401, "unauthorized")
    assert (await api.ask("GET", path)).json()["secret"] == made["secret"], "an operator may"


async def test_rotations_at_the_same_moment_all_hold_one_after_another(api: House) -> None:
    token = await api.tenant()
    path = f"/v1/webhooks/{(await api.webhook(token))['id']}/secret"
    answers: list[int] = []

    async def rotate() -> None:
        answers.append((await api.ask("POST", f"{path}/rotate", token=token)).status_code)

    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(rotate)
    assert sorted(answers) == [200] * 4 + [409] * 4
    assert len((await api.ask("GET", path, token=token)).json()["previous"]) == 4
