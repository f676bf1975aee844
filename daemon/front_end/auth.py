"""Who is asking, and may they: bearer tokens (RFC 6750) against the registry, the operator's against its digest."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from daemon.front_end.problems import Problem
from daemon.front_end.tokens import digest
from daemon.model import Tenant, Token

if TYPE_CHECKING:
    from daemon.front_end.operator_token import OperatorToken
    from daemon.model import Millis
    from daemon.persistence.registry import Registry

Access = Literal["open", "operator", "manage_webhooks", "publish_events", "either"]
"""Who a route is for: anybody, operators, tokens with a permission (operators too), tokens with either permission."""

_CHALLENGE = 'Bearer realm="tenant-webhooks"'


class Principal(Struct, frozen=True):
    """Who asks: the operator (`tenant` is None), or a tenant through one of its tokens."""

    tenant: Tenant | None = None
    token: Token | None = None


OPERATOR = Principal()


def authenticate(header: str | None, registry: Registry, operator: OperatorToken, now: Millis) -> Principal:
    """Who the `Authorization` header speaks for. Raises Problem `unauthorized`; the same for unknown and revoked."""
    scheme, _, text = (header or "").strip().partition(" ")
    text = text.strip()
    if scheme.lower() != "bearer" or not text:
        raise _unauthorized("Send the header Authorization: Bearer <token>.", _CHALLENGE)
    found = digest(text)
    if hmac.compare_digest(found, operator.digest):
        return OPERATOR
    token = registry.token(found)
    if token is None or not hmac.compare_digest(found, token.digest):
        raise _unauthorized("The token is unknown or has been revoked. Use one that is valid now.")
    if token.expires is not None and token.expires <= now:
        raise _unauthorized("The token has expired. Ask an operator for a new one.")
    tenant = registry.tenant(token.tenant)
    if tenant is None:
        raise _unauthorized("The token is unknown or has been revoked. Use one that is valid now.")
    return Principal(tenant, token)


def authorise(principal: Principal, access: Access, *, operator_accepted: bool) -> None:
    """Raises Problem `forbidden` unless `principal` may use a route for `access`.

    `operator_accepted` is false on `server.bind` when `server.admin_bind` keeps the operator's token to itself."""
    if principal.tenant is None or principal.token is None:
        if not operator_accepted:
            raise Problem("forbidden", "The operator's token is accepted only on server.admin_bind. Ask there.")
        return
    if access == "operator":
        raise Problem("forbidden", "This is for operators. Use the operator's token.")
    if not principal.tenant.active:
        raise Problem("forbidden", "The tenant of this token is inactive. An operator can make it active again.")
    if access != "either" and access not in principal.token.permissions:
        raise Problem("forbidden", f"The token lacks the permission {access}. Use one that has it.")


def acting_for(principal: Principal, name: str | None, registry: Registry) -> Tenant | None:
    """The tenant a request is about: a tenant's own, or the one an operator names (None: none named).

    Raises Problem `forbidden` when a tenant names another, whether it exists or not; `not-found` for an operator's
    unknown name."""
    if principal.tenant is not None:
        if name is not None and name != principal.tenant.id:
            raise Problem("forbidden", "The token belongs to another tenant than ?tenant= names. Leave tenant out.")
        return principal.tenant
    if name is None:
        return None
    tenant = registry.tenant_by_id(name)
    if tenant is None:
        raise Problem("not-found", "There is no tenant with the id that ?tenant= names. Check it.")
    return tenant


def _unauthorized(detail: str, challenge: str = f'{_CHALLENGE}, error="invalid_token"') -> Problem:
    return Problem("unauthorized", detail, headers={"WWW-Authenticate": challenge})
