"""The limit of requests of one token: announced in every answer, kept, and nothing is stored of what is over it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from api_house import OPERATOR, URL, House, house, problem, session
from harness.configuration import configuration, toml

from daemon.settings import Limits

if TYPE_CHECKING:
    from pathlib import Path

    import httpx
    from harness.starting import Daemons

import signal

# Slow enough that no test ever sees a request come back.
THREE = Limits(requests_per_second=0.01, request_burst=3)


def left(answer: httpx.Response) -> str:
    return answer.headers["ratelimit"].partition(";t=")[0]


async def test_every_answer_to_a_token_says_what_is_left_and_the_rest_is_refused(tmp_path: Path) -> None:
    async with house(tmp_path, limits=THREE) as api:
        token = await api.tenant()
        answers = [
            await api.ask("GET", "/v1/webhooks", token=token),
            await api.ask("GET", "/v1/webhooks/w0000000", token=token),
            await api.ask("POST", "/v1/events", {}, token=token),
            await api.ask("POST", "/v1/events", session(), token=token),
        ]
        assert [answer.status_code for answer in answers] == [200, 404, 422, 429]
        assert [left(answer) for answer in answers] == [f'"token";r={number}' for number in (2, 1, 0, 0)]
        assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"token";q=3;w=300'}
        refused = answers[-1]
        assert problem(refused) == (429, "rate-limited", None)
        assert 90 <= int(refused.headers["retry-after"]) <= 100
        assert refused.headers["ratelimit"].endswith(f";t={refused.headers['retry-after']}")
        assert (await api.ask("GET", "/v1/deliveries")).json()["data"] == []
        scraped = (await api.ask("GET", "/metrics")).text
        line = 'tenant_webhooks_http_requests_total{method="POST",route="/v1/events",status="429"} 1.0'
        assert line in scraped.splitlines()


async def test_it_comes_after_401_and_before_403_and_404(tmp_path: Path) -> None:
    async with house(tmp_path, limits=THREE) as api:
        token = await api.tenant("acme", "publish_events")
        unknown = await api.ask("GET", "/v1/webhooks", token="tw_unknown")
        assert unknown.status_code == 401
        assert "ratelimit" not in unknown.headers
        statuses = [(await api.ask("GET", "/v1/webhooks/w0000000", token=token)).status_code for _ in range(4)]
        assert statuses == [403, 403, 403, 429]
        assert (await api.ask("GET", "/nowhere", token=token)).status_code == 404


async def test_each_token_has_its_own_and_the_operators_is_not_limited(tmp_path: Path) -> None:
    async with house(tmp_path, limits=THREE) as api:
        first = await api.tenant()
        second = await api.token("acme")
        for token in (first, second):
            assert [await status(api, token) for _ in range(4)] == [200, 200, 200, 429]
        for _ in range(9):
            answer = await api.ask("GET", "/v1/tenants", token=OPERATOR)
            assert answer.status_code == 200
            assert "ratelimit" not in answer.headers


async def status(api: House, token: str) -> int:
    return (await api.ask("GET", "/v1/webhooks", token=token)).status_code


async def test_it_is_off_unless_it_is_asked_for_and_a_reload_turns_it_on(daemons: Daemons) -> None:
    daemon = await daemons.start()
    acme = await daemon.tenant()
    for _ in range(30):
        answer = await acme.request("GET", "/v1/webhooks")
        assert answer.status_code == 200
        assert "ratelimit" not in answer.headers
    changes = {"limits": {"requests_per_second": 0.01, "request_burst": 1}}
    daemon.database.with_suffix(".toml").write_text(toml(configuration(daemon.database, changes)))
    daemon.process.send_signal(signal.SIGHUP)
    await daemon.log.wait("daemon.reloaded", within=10)
    assert (await acme.request("GET", "/v1/webhooks")).status_code == 200
    refused = await acme.request("POST", "/v1/webhooks", {"url": URL})
    assert refused.status_code == 429
    assert (await daemon.operator().ask("GET", "/v1/webhooks", tenant="acme"))["data"] == []
