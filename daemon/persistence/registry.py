"""Tenants and tokens in memory, as of the last commit: what every request is authorised against without a query."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from daemon.persistence import rows

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

    from daemon.model import Tenant, Token

T = TypeVar("T")


class Registry:
    """Changed by the persistence actor alone, after COMMIT and before the reply."""

    def __init__(self, tenants: Iterable[Tenant] = (), tokens: Iterable[Token] = ()) -> None:
        self._by_seq: dict[int, Tenant] = {}
        self._by_id: dict[str, Tenant] = {}
        self._tokens: dict[bytes, Token] = {}
        for tenant in tenants:
            self.put_tenant(tenant)
        for token in tokens:
            self.put_token(token)

    @property
    def tenants(self) -> Iterable[Tenant]:
        return self._by_seq.values()

    def tenant(self, seq: int) -> Tenant | None:
        return self._by_seq.get(seq)

    def is_active(self, seq: int) -> bool:
        tenant = self._by_seq.get(seq)
        return tenant is not None and tenant.active

    def named(self, by_seq: Mapping[int, T]) -> dict[str, T]:
        """The same values under the tenants' ids; those of removed tenants are left out."""
        return {tenant.id: value for seq, value in by_seq.items() if (tenant := self._by_seq.get(seq)) is not None}

    def tenant_by_id(self, id: str) -> Tenant | None:
        return self._by_id.get(id)

    def token(self, digest: bytes) -> Token | None:
        """The token whose text has this SHA-256. A look-up by digest tells a guesser nothing about near misses."""
        return self._tokens.get(digest)

    def put_tenant(self, tenant: Tenant) -> None:
        self._by_seq[tenant.seq] = self._by_id[tenant.id] = tenant

    def remove_tenant(self, seq: int) -> None:
        tenant = self._by_seq.pop(seq, None)
        if tenant is not None:
            del self._by_id[tenant.id]
        self._tokens = {digest: token for digest, token in self._tokens.items() if token.tenant != seq}

    def put_token(self, token: Token) -> None:
        self._tokens[token.digest] = token

    def remove_token(self, digest: bytes) -> None:
        self._tokens.pop(digest, None)


def load(connection: sqlite3.Connection) -> Registry:
    """Read all tenants and tokens that have not been removed. Raises sqlite3.Error."""
    tenants = connection.execute(f"SELECT {rows.TENANT} FROM tenants t WHERE t.removed = 0")
    tokens = connection.execute(
        f"SELECT {rows.TOKEN} FROM tokens k JOIN tenants t ON t.seq = k.tenant WHERE t.removed = 0"
    )
    return Registry(map(rows.tenant, tenants), map(rows.token, tokens))
