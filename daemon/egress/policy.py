"""May we connect there? One pure answer for registration, ping and delivery (CONTRACT §9)."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Final

from daemon.egress.blocks import special_purpose
from daemon.egress.wrapped import wrapped_ipv4

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

OWN: Final = "this daemon's own"


def is_this_machine(address: Address) -> bool:
    """Whether an interface of this machine has `address`: asked of the kernel, nothing is sent."""
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


class AddressPolicy:
    """Which addresses may be connected to. Immutable.

    `allow` opens networks for all tenants, `tenants` more of them by tenant id. `own` are the IP literals and ports
    that this daemon listens on; nothing opens those. An IPv6 address that wraps IPv4 ones must pass, and so must they.
    `is_local` tells whether an address is this machine's; it is asked only when `own` has a wildcard of that port."""

    def __init__(
        self,
        allow: Sequence[Network] = (),
        tenants: Mapping[str, Sequence[Network]] | None = None,
        own: Iterable[tuple[str, int]] = (),
        *,
        is_local: Callable[[Address], bool] = is_this_machine,
    ) -> None:
        self._allow = tuple(allow)
        self._tenants = {tenant: tuple(networks) for tenant, networks in (tenants or {}).items()}
        self._own = frozenset((_unmapped(ip_address(host.partition("%")[0])), port) for host, port in own)
        self._is_local = is_local

    def refusal(self, address: Address, port: int, tenant: str) -> str | None:
        """None if `tenant` may connect to it; else the name of the block it lies in, or `OWN`."""
        if isinstance(address, IPv6Address) and address.scope_id is not None:
            address = IPv6Address(int(address))
        inner = wrapped_ipv4(address) if isinstance(address, IPv6Address) else ()
        candidates: tuple[Address, ...] = (address, *inner)
        if any(self._is_own(candidate, port) for candidate in candidates):
            return OWN
        opened = (*self._allow, *self._tenants.get(tenant, ()))
        for candidate in candidates:
            name = special_purpose(candidate)
            if name is not None and not _in_any(candidate, opened):
                return name
        return None

    def _is_own(self, address: Address, port: int) -> bool:
        for own, own_port in self._own:
            if own_port != port:
                continue
            if own == address:
                return True
            # A connection to the unspecified address arrives at this machine; a socket bound to it hears every address.
            if address.is_unspecified and (own.is_loopback or own.is_unspecified):
                return True
            if own.is_unspecified and (address.is_loopback or self._is_local(address)):
                return True
        return False


def _unmapped(address: Address) -> Address:
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _in_any(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)
