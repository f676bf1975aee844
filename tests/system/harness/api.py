"""The HTTP API as one caller uses it."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import httpx

from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

Json = dict[str, Any]

UNFINISHED = ("pending", "sending")
PLAIN_HTTP = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients that never need TLS: else each reads all of the machine's certificates, which takes 50 ms."""


class Api:
    """Requests with one token. Every method but `request` expects success and returns the decoded body."""

    def __init__(self, base_url: str, token: str | None) -> None:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        self.base_url = base_url
        self.client = httpx.AsyncClient(
            base_url=base_url, headers=headers, timeout=30, trust_env=False, verify=PLAIN_HTTP
        )

    async def aclose(self) -> None:
        await self.client.aclose()

    async def request(self, method: str, path: str, json: object = None, **query: str | int) -> httpx.Response:
        return await self.client.request(method, path, json=json, params=query or None)

    async def ask(self, method: str, path: str, json: object = None, **query: str | int) -> Any:
        answer = await self.request(method, path, json, **query)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    async def create_tenant(self, tenant: str, *permissions: str) -> str:
        """A tenant and a token of it (the operator's doing); returns the token."""
        await self.ask("POST", "/v1/tenants", {"id": tenant, "name": tenant.title()})
        wanted = permissions or ("manage_webhooks", "publish_events")
        created = await self.ask("POST", f"/v1/tenants/{tenant}/tokens", {"name": "test", "permissions": wanted})
        return created["token"]

    async def register(self, url: str, **fields: object) -> Json:
        return await self.ask("POST", "/v1/webhooks", {"url": url, **fields})

    async def publish(self, *events: Json) -> list[Json]:
        """Publish as one batch; the 202's items in order."""
        return (await self.ask("POST", "/v1/events", {"events": list(events)}))["data"]

    async def deliveries(self, webhook: str | None = None, **query: str | int) -> list[Json]:
        """All deliveries that match, over every page, newest first."""
        path = "/v1/deliveries" if webhook is None else f"/v1/webhooks/{webhook}/deliveries"
        found: list[Json] = []
        cursor: dict[str, str] = {}
        while True:
            page = await self.ask("GET", path, limit=200, **query, **cursor)
            found += page["data"]
            if page["next"] is None:
                return found
            cursor = {"cursor": page["next"]}

    async def delivery(self, delivery: str) -> Json:
        return await self.ask("GET", f"/v1/deliveries/{delivery}")

    async def settled(self, *, within: float = 10, **query: str | int) -> None:
        """Wait until no delivery is pending or sending."""

        async def none_left() -> bool:
            for status in UNFINISHED:
                if await self.deliveries(status=status, **query):
                    return False
            return True

        await eventually(none_left, "every delivery finished", within=within)

    async def finished(self, events: Sequence[Json], *, within: float = 10) -> list[Json]:
        """The deliveries of these published events, once all are final."""
        wanted = {event["id"] for event in events}

        async def all_final() -> list[Json]:
            found = [delivery for delivery in await self.deliveries() if delivery["event"] in wanted]
            final = all(delivery["status"] not in UNFINISHED for delivery in found)
            return found if final and len(found) == sum(event["deliveries"] for event in events) else []

        return await eventually(all_final, f"deliveries of {len(wanted)} events finished", within=within)
