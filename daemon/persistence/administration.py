"""Writes to tenants and tokens, one command at a time. A command checks first and writes last, so a refusal leaves
nothing to undo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from daemon.identifiers import new_token_id
from daemon.model import Tenant, Token
from daemon.persistence import rows
from daemon.refusals import Conflict, NotFound

if TYPE_CHECKING:
    import sqlite3

    from daemon.persistence.commands import CreateTenant, CreateToken, RemoveTenant, RevokeToken, UpdateTenant
    from daemon.persistence.effects import Effects


def create_tenant(db: sqlite3.Connection, command: CreateTenant, now: int, effects: Effects) -> Tenant:
    if db.execute("SELECT 1 FROM tenants WHERE id = ? AND removed = 0", (command.id,)).fetchone():
        raise Conflict("A tenant with this id exists. Choose another id.", pointer="/id")
    cursor = db.execute(
        "INSERT INTO tenants (id, name, active, created) VALUES (?, ?, 1, ?)", (command.id, command.name, now)
    )
    tenant = Tenant(_inserted(cursor), command.id, command.name, True, now)
    effects.registry.append(lambda registry: registry.put_tenant(tenant))
    return tenant


def update_tenant(db: sqlite3.Connection, command: UpdateTenant, now: int, effects: Effects) -> Tenant:
    before = _tenant(db, command.tenant)
    tenant = Tenant(
        before.seq,
        before.id,
        before.name if command.name is msgspec.UNSET else command.name,
        before.active if command.active is msgspec.UNSET else command.active,
        before.created,
    )
    db.execute("UPDATE tenants SET name = ?, active = ? WHERE seq = ?", (tenant.name, tenant.active, tenant.seq))
    effects.registry.append(lambda registry: registry.put_tenant(tenant))
    if tenant.active and not before.active:
        effects.reactivated(tenant.seq)
    return tenant


def remove_tenant(db: sqlite3.Connection, command: RemoveTenant, now: int, effects: Effects) -> None:
    if _tenant(db, command.tenant).active:
        raise Conflict('The tenant is active. Set "active" to false before deleting it.')
    db.execute("UPDATE tenants SET removed = 1 WHERE seq = ?", (command.tenant,))
    effects.removed(command.tenant)


def create_token(db: sqlite3.Connection, command: CreateToken, now: int, effects: Effects) -> Token:
    _tenant(db, command.tenant)
    token = Token(
        new_token_id(), command.tenant, command.name, command.permissions, now, command.expires, command.digest
    )
    db.execute(
        "INSERT INTO tokens (id, tenant, name, permissions, created, expires, digest) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            token.id,
            token.tenant,
            token.name,
            msgspec.json.encode(token.permissions).decode(),
            now,
            token.expires,
            token.digest,
        ),
    )
    effects.registry.append(lambda registry: registry.put_token(token))
    return token


def revoke_token(db: sqlite3.Connection, command: RevokeToken, now: int, effects: Effects) -> None:
    found = db.execute("SELECT digest FROM tokens WHERE id = ? AND tenant = ?", (command.id, command.tenant)).fetchone()
    if found is None:
        raise NotFound("The tenant has no token with this id.")
    digest: bytes = found[0]
    db.execute("DELETE FROM tokens WHERE digest = ?", (digest,))
    effects.registry.append(lambda registry: registry.remove_token(digest))


def _tenant(db: sqlite3.Connection, seq: int) -> Tenant:
    found = db.execute(f"SELECT {rows.TENANT} FROM tenants t WHERE t.seq = ? AND t.removed = 0", (seq,)).fetchone()
    if found is None:
        raise NotFound("There is no tenant with this id.")
    return rows.tenant(found)


def _inserted(cursor: sqlite3.Cursor) -> int:
    assert cursor.lastrowid is not None
    return cursor.lastrowid
