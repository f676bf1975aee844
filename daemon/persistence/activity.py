"""What is not active is sent nothing, in the same words whoever asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.refusals import NotFound, TenantInactive, WebhookInactive

if TYPE_CHECKING:
    import sqlite3


def refuse_inactive_webhook(db: sqlite3.Connection, webhook: int) -> None:
    """By seq; it and its tenant must be active. Raises `WebhookInactive`, `TenantInactive`."""
    active, tenant = db.execute("SELECT active, tenant FROM webhooks WHERE seq = ?", (webhook,)).fetchone()
    if not active:
        raise WebhookInactive('The webhook is not active. Set "active" to true first.')
    refuse_inactive_tenant(db, tenant)


def refuse_inactive_tenant(db: sqlite3.Connection, tenant: int) -> None:
    """By seq. Raises `TenantInactive`, `NotFound`."""
    found = db.execute("SELECT active FROM tenants WHERE seq = ? AND removed = 0", (tenant,)).fetchone()
    if found is None:
        raise NotFound("There is no tenant with this id.")
    if not found[0]:
        raise TenantInactive('The tenant is not active. Set its "active" to true first.')
