"""The policy applied to a target, worded for the tenant: registration asks about literals, delivery about answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from daemon.egress.policy import OWN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.egress.policy import Address, AddressPolicy
    from daemon.egress.url import ParsedTarget

_ASK_THE_OPERATOR: Final = "ask the operator to open its network with the setting"


def refuse_literal(target: ParsedTarget, policy: AddressPolicy, tenant: str) -> str | None:
    """Why a target whose host is an address may not be connected to; None if it may, or if the host is a name."""
    if target.literal is None:
        return None
    reason = policy.refusal(target.literal, target.port, tenant)
    if reason is None:
        return None
    if reason == OWN:
        return f"{target.host} port {target.port} is this daemon itself, which no setting opens. Use another address."
    return (
        f"{target.host} is not a public address ({reason}). Use a public one, or {_ASK_THE_OPERATOR} egress.allow, "
        f"or for this tenant alone with egress.tenants.{tenant}.allow."
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
        f"{target.host} does not resolve to public addresses only. Let it, or {_ASK_THE_OPERATOR} egress.allow, "
        f"or for this tenant alone with egress.tenants.{tenant}.allow."
    )
