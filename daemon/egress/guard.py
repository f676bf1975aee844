"""The policy applied to a target, worded for the tenant: registration asks about literals, delivery about answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.egress.policy import OWN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.egress.policy import Address, AddressPolicy
    from daemon.egress.url import ParsedTarget


def refuse_literal(target: ParsedTarget, policy: AddressPolicy, tenant: str) -> str | None:
    """Why a target whose host is an address may not be connected to; None if it may, or if the host is a name."""
    if target.literal is None:
        return None
    reason = policy.refusal(target.literal, target.port, tenant)
    if reason is None:
        return None
    if reason == OWN:
        return f"{target.host}:{target.port} is this daemon's own address; no setting opens it."
    return (
        f"{target.host} is not a public address ({reason}). "
        "The operator can open it with the setting egress.allow, or for one tenant with egress.tenants."
    )


def refuse_addresses(
    target: ParsedTarget, addresses: Iterable[Address], policy: AddressPolicy, tenant: str
) -> str | None:
    """Why `target`, which resolved to `addresses`, may not be connected to; None if every address may be.

    Names the host, never what a name resolved to: that could map the operator's network."""
    if target.literal is not None:
        return refuse_literal(target, policy, tenant)
    if all(policy.refusal(address, target.port, tenant) is None for address in addresses):
        return None
    return (
        f"{target.host} does not resolve to public addresses only. "
        "The operator can open others with the setting egress.allow, or for one tenant with egress.tenants."
    )
