"""A real file, the real writer, and short ways to fill it."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

from daemon.events import SESSION_COMPLETED
from daemon.model import Claimed, Finished, Outcome, Tenant, Webhook
from daemon.operations.metrics import Metrics
from daemon.persistence import queries
from daemon.persistence.actor import Persistence
from daemon.persistence.commands import (
    Claim,
    CreateTenant,
    CreateWebhook,
    NewEvent,
    Progress,
    Publish,
    Published,
    RemoveTenant,
    UpdateTenant,
)
from daemon.persistence.database import open_writer
from daemon.settings import Limits, StorageSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

PATIENCE = 5.0


class Locked:
    """Another process's write lock on the file: the storage fails for as long as it is held."""

    def __init__(self, path: Path, *, made: bool = True) -> None:
        self._path = path
        self._made = made

    def __enter__(self) -> Locked:
        if self._made:
            self.take()
        return self

    def take(self) -> None:
        self._other = sqlite3.connect(self._path, isolation_level=None)
        self._other.execute("BEGIN IMMEDIATE")

    def __exit__(self, *_: object) -> None:
        self._other.execute("ROLLBACK")
        self._other.close()


class Store:
    """A running `Persistence` and what it has offered to its router."""

    def __init__(self, actor: Persistence, metrics: Metrics) -> None:
        self.actor = actor
        self._metrics = metrics
        self.ended = trio.Event()
        self.offers: list[dict[int, dict[int, int]]] = []

    def expect(self, work: Mapping[int, Mapping[int, int]]) -> None:
        """Nobody claims early."""

    def board(self) -> bool:
        return False

    def offer(self, work: Mapping[int, Mapping[int, int]]) -> None:
        self.offers.append({tenant: dict(webhooks) for tenant, webhooks in work.items()})

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        await self.actor.run(self, task_status=task_status)
        self.ended.set()

    async def remove(self, tenant: Tenant) -> None:
        await self.actor.execute(UpdateTenant(tenant.seq, active=False), PATIENCE)
        await self.actor.execute(RemoveTenant(tenant.seq), PATIENCE)

    def commits(self) -> int:
        """How many transactions of commands there were, as a scrape would say."""
        count = self._metrics._registry.get_sample_value("tenant_webhooks_commit_rows_count")
        assert count is not None
        return int(count)

    async def tenant(self, id: str = "acme") -> Tenant:
        return await self.actor.execute(CreateTenant(id, None), PATIENCE)

    async def webhook(self, tenant: Tenant, url: str = "https://example.com/hook", *, active: bool = True) -> Webhook:
        command = CreateWebhook(tenant.seq, url, None, (SESSION_COMPLETED,), active, b"k" * 32)
        return await self.actor.execute(command, PATIENCE)

    async def webhook_by(self, tenant: int, seq: int) -> Webhook:
        found = await self.actor.read(queries.webhooks, tenant, None, None, None)
        return next(webhook for webhook in found if webhook.seq == seq)

    async def publish(self, tenant: Tenant, count: int = 1, **fields: object) -> list[Published]:
        events = [new_event(tenant, **fields) for _ in range(count)]
        return await self.actor.execute(Publish(events, batch=True), PATIENCE)

    async def claim(self, webhook: Webhook, limit: int = 100) -> list[Claimed]:
        return (await self.actor.progress(Progress(webhook.tenant, [], [], [Claim(webhook.seq, limit)]))).claimed

    async def finish(self, webhook: Webhook, *finished: Finished) -> frozenset[int]:
        return (await self.actor.progress(Progress(webhook.tenant, list(finished), [], []))).recorded

    async def put_back(self, webhook: Webhook, *postponed: Claimed) -> frozenset[int]:
        return (await self.actor.progress(Progress(webhook.tenant, [], list(postponed), []))).postponed


def new_event(
    tenant: Tenant, *, key: str | None = None, content: bytes = b"content", type: str = SESSION_COMPLETED
) -> NewEvent:
    return NewEvent(tenant.seq, type, b'{"Event":"' + content + b'"}', key, None if key is None else content)


def succeeded(delivery: Claimed, *, at: int = 2000) -> Finished:
    return Finished(delivery, Outcome("succeeded", at - 10, at, 200, response_headers={"a": "b"}, response_body="ok"))


def failed(delivery: Claimed, *, at: int = 2000) -> Finished:
    return Finished(delivery, Outcome("failed", at - 10, at, 500, "http_status", "The receiver answered 500."))


@asynccontextmanager
async def running(
    path: Path, limits: Limits | None = None, *, least_free: int = 0, kind: type[Store] = Store
) -> AsyncIterator[Store]:
    metrics, storage = Metrics(), StorageSettings(min_free_bytes=least_free)
    store = kind(Persistence(open_writer(path), path, storage, limits or Limits(), metrics), metrics)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            await nursery.start(store.run)
            yield store
            store.actor.close()
