"""IPv4 addresses inside IPv6 ones: a gateway on the way may unwrap them, so the inner address counts too."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network

# Both /96 forms and the two that were meant for the same use, all with the IPv4 address in the last 32 bits.
_IN_LAST_BITS = tuple(IPv6Network(text) for text in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96"))
_NAT64_LOCAL = IPv6Network("64:ff9b:1::/48")
_TEREDO = IPv6Network("2001::/32")
_6TO4 = IPv6Network("2002::/16")
ISATAP_IDENTIFIERS = frozenset({0x0000_5EFE, 0x0200_5EFE})
_MASK32 = 0xFFFF_FFFF


def wrapped_ipv4(address: IPv6Address) -> tuple[IPv4Address, ...]:
    """Every IPv4 address that `address` may stand for; empty if it wraps none.

    IPv4-compatible and -mapped (RFC 4291 §2.5.5), -translated (RFC 2765), NAT64 (RFC 6052, RFC 8215), 6to4 (RFC 3056),
    Teredo's server and client (RFC 4380), ISATAP (RFC 5214)."""
    number = int(address)
    if number in (0, 1):
        return ()
    plain = IPv6Address(number)
    if any(plain in network for network in _IN_LAST_BITS):
        return (IPv4Address(number & _MASK32),)
    if plain in _TEREDO:
        return (IPv4Address(number >> 64 & _MASK32), IPv4Address(~number & _MASK32))
    if plain in _6TO4:
        return (IPv4Address(number >> 80 & _MASK32),)
    if plain in _NAT64_LOCAL:
        return _nat64_candidates(number)
    if number >> 32 & _MASK32 in ISATAP_IDENTIFIERS:
        return (IPv4Address(number & _MASK32),)
    return ()


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
