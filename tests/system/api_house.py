"""The front end whole, in this process: the application behind its server on real sockets, over a real file.

Nothing is delivered (there is no router), so that every delivery stays as the API left it.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import trio
from harness.api import PLAIN_HTTP

from daemon.egress.policy import AddressPolicy
from daemon.front_end.app import create_app
from daemon.front_end.listeners import open_listeners
from daemon.front_end.operator_token import OperatorToken
from daemon.front_end.routes import ROUTES
from daemon.front_end.server import Server
from daemon.front_end.tokens import digest, new_token
from daemon.operations.gauges import Sources
from daemon.operations.health import Readiness
from daemon.operations.metrics import Metrics
from daemon.persistence.actor import Persistence
from daemon.persistence.commands import CreateToken
from daemon.persistence.database import open_writer
from daemon.persistence.hints import Nobody
from daemon.settings import EventTypeSettings, Limits, ServerSettings, Settings, StorageSettings, TcpBind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from pathlib import Path

    from daemon.front_end.routing import AnyRoute
    from daemon.model import Permission

OPERATOR = "tw_operator_0123456789abcdef0123456789abcdef"
ANYWHERE = TcpBind("127.0.0.1", 0)
BOTH: tuple[Permission, ...] = ("manage_webhooks", "publish_events")
URL = "https://example.com/hook"

Json = dict[str, Any]


class House:
    """`ready` and `store` are the daemon's own; `addresses` says where each role answers."""

    def __init__(self, store: Persistence, ready: Readiness, addresses: Mapping[str, str]) -> None:
        self.store = store
        self.ready = ready
        self.addresses = addresses
        self.client = httpx.AsyncClient(timeout=20, trust_env=False, verify=PLAIN_HTTP)

    async def ask(
        self,
        method: str,
        path: str,
        json: object = None,
        *,
        token: str | None = OPERATOR,
        role: str = "main",
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """One request; `content` is a body as it is and without a content type."""
        given = {} if token is None else {"authorization": f"Bearer {token}"}
        url = f"http://{self.addresses[role]}{path}"
        if content is not None:
            return await self.client.request(method, url, content=content, headers={**given, **(headers or {})})
        return await self.client.request(method, url, json=json, headers={**given, **(headers or {})})

    async def tenant(self, id: str = "acme", *permissions: str) -> str:
        """A tenant, and the text of a token of it with these permissions (none given: both)."""
        assert (await self.ask("POST", "/v1/tenants", {"id": id})).status_code == 201
        return await self.token(id, *permissions)

    async def token(self, tenant: str, *permissions: str, **fields: object) -> str:
        wanted = {"permissions": permissions or BOTH, **fields}
        made = await self.ask("POST", f"/v1/tenants/{tenant}/tokens", wanted)
        assert made.status_code == 201, made.text
        return made.json()["token"]

    async def aged_token(self, tenant: str) -> str:
        """A token that has expired since it was made; the API itself makes none like it."""
        owner = self.store.registry.tenant_by_id(tenant)
        assert owner is not None
        text = new_token()
        await self.store.execute(CreateToken(owner.seq, None, BOTH, 1, digest(text)), 5)
        return text

    async def webhook(self, token: str, **fields: object) -> Json:
        made = await self.ask("POST", "/v1/webhooks", {"url": URL, **fields}, token=token)
        assert made.status_code == 201, made.text
        return made.json()

    async def publish(self, token: str, *names: str) -> list[Json]:
        made = await self.ask("POST", "/v1/events", {"events": [session(name) for name in names]}, token=token)
        assert made.status_code == 202, made.text
        return made.json()["data"]


def session(name: str = "s1", **fields: object) -> Json:
    return {"event": "onboard.session.completed", "session": {"id": name, "status": "Complete"}, **fields}


def problem(answer: httpx.Response) -> tuple[int, str, str | None]:
    """Status, type and the place of the first culprit; checks that it is a problem document, whole."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    document = answer.json()
    assert document["status"] == answer.status_code
    assert document["title"]
    assert document["detail"]
    errors = document.get("errors", [{}])
    return (
        answer.status_code,
        document["type"].removeprefix("/problems/"),
        errors[0].get("pointer", errors[0].get("parameter")),
    )


def sources(store: Persistence) -> Sources:
    return Sources(
        waiting=store.waits.by_tenant,
        oldest_age=store.waits.oldest_by_tenant,
        in_flight=dict,
        recoveries=lambda: store.recoveries,
        log_dropped=lambda: 0,
        ready=lambda: not store.troubles(),
        database=store.space.size,
        free_bytes=store.space.free,
        least_free_bytes=store.space.least,
    )


@asynccontextmanager
async def house(
    folder: Path,
    *,
    observe: bool = False,
    admin: bool = False,
    limits: Limits | None = None,
    events: Mapping[str, EventTypeSettings] | None = None,
    request_timeout: float = 10,
    routes: Iterable[AnyRoute] = ROUTES,
) -> AsyncIterator[House]:
    """`observe` and `admin` are listeners that no setting names: systemd may pass some."""
    opened = ServerSettings(bind=(ANYWHERE,), observe_bind=(ANYWHERE,) * observe, admin_bind=(ANYWHERE,) * admin)
    settings = Settings(
        server=ServerSettings(bind=(ANYWHERE,), request_timeout=request_timeout),
        storage=StorageSettings(path=str(folder / "webhooks.db"), min_free_bytes=0),
        limits=limits or Limits(),
        events=dict(events or {}),
    )
    path, metrics, ready = folder / "webhooks.db", Metrics(), Readiness()
    store = Persistence(open_writer(path), path, settings.storage, settings.limits, metrics)
    ready.watch(store.troubles)
    metrics.observe(sources(store))
    listeners = open_listeners(opened, {})
    operator = OperatorToken(digest(OPERATOR))
    roles = frozenset(listener.role for listener in listeners)
    app = create_app(store, settings, operator, AddressPolicy(), metrics, ready, roles, routes=routes)
    front = Server(app, listeners, settings.server, metrics.refused)
    async with AsyncExitStack() as stack:
        stack.enter_context(trio.fail_after(30))
        nursery = await stack.enter_async_context(trio.open_nursery())
        await nursery.start(store.run, Nobody())
        await nursery.start(front.run)
        built = House(store, ready, {listener.role: listener.address for listener in listeners})
        await stack.enter_async_context(built.client)
        yield built
        front.drain(trio.current_time())
        store.close()
