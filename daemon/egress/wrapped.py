"""IPv4 addresses inside IPv6 ones: a gateway on the way may unwrap them, so the inner address counts too."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

# The first 96 bits of both /96 forms and the two that were meant for the same use: the IPv4 address is the rest.
_IN_LAST_BITS = frozenset(int(IPv6Address(text)) >> 32 for text in ("::", "::ffff:0:0", "::ffff:0:0:0", "64:ff9b::"))
_NAT64_LOCAL = int(IPv6Address("64:ff9b:1::")) >> 80
_TEREDO = int(IPv6Address("2001::")) >> 96
_6TO4 = 0x2002
ISATAP_IDENTIFIERS = frozenset({0x0000_5EFE, 0x0200_5EFE})
_MASK32 = 0xFFFF_FFFF


def wrapped_ipv4(address: IPv6Address) -> tuple[IPv4Address, ...]:
    """Every IPv4 address that `address` may stand for; empty if it wraps none.

    IPv4-compatible and -mapped (RFC 4291 §2.5.5), -translated (RFC 2765), NAT64 (RFC 6052, RFC 8215), 6to4 (RFC 3056),
    Teredo's server and client (RFC 4380), ISATAP (RFC 5214), which any of the others may hold too."""
    number = int(address)
    if number in (0, 1):
        return ()
    if number >> 32 in _IN_LAST_BITS:
        return (IPv4Address(number & _MASK32),)
    found: tuple[IPv4Address, ...] = ()
    if number >> 96 == _TEREDO:
        found = (IPv4Address(number >> 64 & _MASK32), IPv4Address(~number & _MASK32))
    elif number >> 112 == _6TO4:
        found = (IPv4Address(number >> 80 & _MASK32),)
    elif number >> 80 == _NAT64_LOCAL:
        found = _nat64_candidates(number)
    if number >> 32 & _MASK32 in ISATAP_IDENTIFIERS:
        found = (*found, IPv4Address(number & _MASK32))
    return found


def _nat64_candidates(number: int) -> tuple[IPv4Address, ...]:
    """RFC 6052 §2.2: where the address lies depends on the prefix's length, which nobody tells us. Every place counts
    where it can lie: bits 64 to 71 and everything after it are zero."""
    found: list[IPv4Address] = []
    if number >> 56 & 0xFF == 0:
        joined = (number >> 64) << 56 | number & (1 << 56) - 1
        for prefix in (48, 56, 64):
            below = 120 - prefix - 32
            if joined & (1 << below) - 1 == 0:
                found.append(IPv4Address(joined >> below & _MASK32))
    if number & _MASK32 or not found:
        found.append(IPv4Address(number & _MASK32))
    return tuple(found)
