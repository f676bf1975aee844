"""The label `tenant`: only for tenants that the settings name, so that how many series there are is the operator's to
say, not the tenants'."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

OTHERS: Final = ""


class TenantLabels:
    """Without tenants there is no such label at all; with some, all others share the empty one."""

    def __init__(self, tenants: Sequence[str] = ()) -> None:
        self.tenants = tuple(tenants)
        self.names: tuple[str, ...] = ("tenant",) if tenants else ()

    def values(self, tenant: str) -> tuple[str, ...]:
        """What stands beside `names`."""
        return (tenant,) if self.tenants else ()

    def grouped(self, by_tenant: Mapping[str, float], together: Callable[[Iterable[float]], float]) -> dict[str, float]:
        """One value for each label: a tenant's own (0 if it has none), and those of all others `together`."""
        named = {tenant: by_tenant.get(tenant, 0) for tenant in self.tenants}
        return {**named, OTHERS: together(value for tenant, value in by_tenant.items() if tenant not in named)}
