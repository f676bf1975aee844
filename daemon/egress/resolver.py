"""Names to addresses."""

from __future__ import annotations

from typing import Protocol

SockAddr = tuple[str, int] | tuple[str, int, int, int]


class Resolver(Protocol):
    async def resolve(self, host: str, port: int, tenant: str) -> list[SockAddr]:
        """The addresses of `host`, at least one, in the order they should be tried.

        Raises EgressError (`dns_failed`) or LocalFault. Has no deadline of its own; cancellation leaves nothing."""
        ...
