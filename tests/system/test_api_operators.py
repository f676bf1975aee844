"""CONTRACT §6: tenants, tokens, health; and which listener answers what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from api_house import OPERATOR, House, house, problem, session

from daemon.front_end.catalogue import KINDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as running:
        yield running


async def test_a_tenant_from_first_to_last(api: House) -> None:
    made = await api.ask("POST", "/v1/tenants", {"id": "acme", "name": "Acme Ltd"})
    assert made.status_code == 201
    assert made.headers["location"] == "/v1/tenants/acme"
    tenant = made.json()
    assert list(tenant) == ["id", "name", "active", "created"]
    assert (tenant["name"], tenant["active"], len(tenant["created"])) == ("Acme Ltd", True, 24)
    assert (await api.ask("GET", "/v1/tenants/acme")).json() == tenant
    token = await api.token("acme")
    assert (await api.ask("PATCH", "/v1/tenants/acme", {**tenant, "name": None})).json()["name"] is None
    assert (await api.ask("PATCH", "/v1/tenants/acme", {"active": False})).json()["active"] is False
    assert problem(await api.ask("GET", "/v1/webhooks", token=token))[:2] == (403, "forbidden")
    await api.ask("PATCH", "/v1/tenants/acme", {"active": True})
    assert (await api.ask("GET", "/v1/webhooks", token=token)).status_code == 200
    await api.ask("PATCH", "/v1/tenants/acme", {"active": False})
    gone = await api.ask("DELETE", "/v1/tenants/acme")
    assert (gone.status_code, gone.content) == (202, b"")
    for method, path in (("GET", ""), ("DELETE", ""), ("PATCH", ""), ("GET", "/tokens"), ("POST", "/tokens")):
        assert problem(await api.ask(method, f"/v1/tenants/acme{path}", {}))[:2] == (404, "not-found")
    assert problem(await api.ask("GET", "/v1/webhooks", token=token))[:2] == (401, "unauthorized")


async def test_tenants_are_listed_newest_first_in_pages(api: House) -> None:
    ids = [f"t{number}" for number in range(5)]
    for id in ids:
        await api.ask("POST", "/v1/tenants", {"id": id})
    first = (await api.ask("GET", "/v1/tenants?limit=3")).json()
    await api.ask("POST", "/v1/tenants", {"id": "late"})
    rest = (await api.ask("GET", f"/v1/tenants?limit=3&cursor={first['next']}")).json()
    assert [tenant["id"] for tenant in first["data"] + rest["data"]] == ids[::-1]
    assert rest["next"] is None


async def test_a_token_is_shown_once_and_works_until_it_is_revoked(api: House) -> None:
    await api.tenant()
    document = {"name": "CI", "permissions": ["publish_events", "publish_events"], "expires": "2999-01-01T00:00:00Z"}
    answer = await api.ask("POST", "/v1/tenants/acme/tokens", document)
    assert answer.status_code == 201
    made = answer.json()
    assert list(made) == ["id", "name", "permissions", "created", "expires", "token"]
    assert made["permissions"] == ["publish_events"]
    listed = (await api.ask("GET", "/v1/tenants/acme/tokens")).json()
    token = made.pop("token")
    assert listed["data"][0] == made
    assert token not in str(listed)
    assert (await api.ask("POST", "/v1/events", session(), token=token)).status_code == 202
    path = f"/v1/tenants/acme/tokens/{made['id']}"
    assert (await api.ask("DELETE", path)).status_code == 204
    assert problem(await api.ask("POST", "/v1/events", session(), token=token))[:2] == (401, "unauthorized")
    assert problem(await api.ask("DELETE", path))[:2] == (404, "not-found")


async def test_tokens_are_listed_in_pages_of_their_tenant(api: House) -> None:
    await api.tenant("acme")
    await api.tenant("globex")
    for _ in range(3):
        await api.token("acme")
    first = (await api.ask("GET", "/v1/tenants/acme/tokens?limit=3")).json()
    rest = (await api.ask("GET", f"/v1/tenants/acme/tokens?cursor={first['next']}")).json()
    assert (len(first["data"]), len(rest["data"])) == (3, 1)
    answer = await api.ask("GET", f"/v1/tenants/globex/tokens?cursor={first['next']}")
    assert problem(answer) == (422, "invalid", "cursor")


async def test_health_says_what_is_wrong(api: House) -> None:
    assert (await api.ask("GET", "/healthz", token=None)).json() == {"status": "alive"}
    assert (await api.ask("GET", "/readyz", token=None)).json() == {"status": "ready"}
    api.store.failing = "disk full"
    answer = await api.ask("GET", "/readyz", token=None)
    assert problem(answer)[:2] == (503, "storage-unavailable")
    assert answer.json()["parts"] == {"storage": "disk full"}
    assert "retry-after" in answer.headers
    assert (await api.ask("GET", "/healthz", token=None)).status_code == 200


async def test_while_draining_what_was_accepted_is_served_and_readiness_sends_others_elsewhere(api: House) -> None:
    token = await api.tenant()
    api.ready.set("draining", "told to stop")
    assert (await api.ask("POST", "/v1/events", session(), token=token)).status_code == 202
    assert problem(await api.ask("GET", "/readyz", token=None))[:2] == (503, "draining")
    assert (await api.ask("GET", "/v1/deliveries", token=token)).status_code == 200


async def test_a_closed_store_refuses_and_says_that_nothing_was_stored(api: House) -> None:
    token = await api.tenant()
    api.store.close()
    answer = await api.ask("POST", "/v1/events", session(), token=token)
    assert problem(answer)[:2] == (503, "draining")
    assert "retry-after" in answer.headers


async def test_metrics_name_routes_and_never_paths(api: House) -> None:
    token = await api.tenant()
    webhook = (await api.webhook(token))["id"]
    await api.ask("GET", f"/v1/onboard/webhooks/{webhook}", token=token)
    await api.ask("GET", "/v1/nowhere?token=hunter2")
    await api.ask("BREW", "/healthz")
    answer = await api.ask("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert 'tenant_webhooks_http_requests_total{method="GET",route="/v1/webhooks/{id}",status="200"} 1.0' in answer.text
    assert 'method="GET",route="unmatched",status="404"' in answer.text
    assert 'method="other",route="unmatched",status="405"' in answer.text
    for secret in (webhook, "nowhere", "hunter2", "BREW"):
        assert secret not in answer.text


@pytest.mark.parametrize("slug", sorted(KINDS))
async def test_every_problem_type_is_a_page(api: House, slug: str) -> None:
    answer = await api.ask("GET", f"/problems/{slug}", token=None)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert slug in answer.text
    assert "What to change" in answer.text
    assert f"/problems/{slug}" in (await api.ask("GET", "/problems", token=None)).text


async def test_with_listeners_of_their_own_routes_answer_only_there(tmp_path: Path) -> None:
    async with house(tmp_path, observe=True, admin=True) as api:
        assert (await api.ask("POST", "/v1/tenants", {"id": "acme"}, role="admin")).status_code == 201
        made = await api.ask("POST", "/v1/tenants/acme/tokens", {"permissions": ["manage_webhooks"]}, role="admin")
        token = made.json()["token"]
        for role, path, asking, status in (
            ("main", "/healthz", None, 404),
            ("main", "/readyz", None, 404),
            ("main", "/metrics", OPERATOR, 404),
            ("admin", "/metrics", OPERATOR, 404),
            ("observe", "/healthz", None, 200),
            ("observe", "/readyz", None, 200),
            ("observe", "/metrics", None, 200),
            ("observe", "/metrics", "tw_nobody", 200),
            ("observe", "/v1/webhooks", token, 404),
            ("observe", "/v1/tenants", OPERATOR, 404),
            ("main", "/v1/tenants", OPERATOR, 404),
            ("main", "/v1/tenants/acme/tokens", OPERATOR, 404),
            ("main", "/v1/deliveries", OPERATOR, 403),
            ("main", "/v1/deliveries", token, 200),
            ("admin", "/v1/deliveries", OPERATOR, 200),
            ("admin", "/v1/deliveries", token, 200),
            ("main", "/problems/invalid", None, 200),
        ):
            answer = await api.ask("GET", path, token=asking, role=role)
            assert answer.status_code == status, (role, path)
        assert problem(await api.ask("POST", "/healthz", token=None))[:2] == (404, "not-found")


async def test_metrics_need_the_operators_token_unless_they_have_a_listener(tmp_path: Path) -> None:
    async with house(tmp_path, admin=True) as api:
        assert problem(await api.ask("GET", "/metrics", token=None))[:2] == (401, "unauthorized")
        assert problem(await api.ask("GET", "/metrics"))[:2] == (403, "forbidden")
        assert (await api.ask("GET", "/metrics", role="admin")).status_code == 200
        assert (await api.ask("GET", "/readyz", token=None)).status_code == 200
