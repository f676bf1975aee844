"""Addresses that are not public unicast, by the names their registries give them.

Sources: the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890, RFC 8190), the multicast registries
(RFC 5771, RFC 4291 §2.7) and RFC 4291 §2.4 (only 2000::/3 is assigned as global unicast). Globally reachable special
services (AS112, AMT, TURN and PCP anycast) are listed too: no webhook lives there.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from daemon.egress.wrapped import ISATAP_IDENTIFIERS

IPV4_BLOCKS: dict[str, str] = {
    "0.0.0.0/8": "this network",
    "0.0.0.0/32": "unspecified",
    "10.0.0.0/8": "private use",
    "100.64.0.0/10": "shared address space (CGNAT)",
    "127.0.0.0/8": "loopback",
    "169.254.0.0/16": "link-local",
    "172.16.0.0/12": "private use",
    "192.0.0.0/24": "IETF protocol assignments",
    "192.0.0.0/29": "IPv4 service continuity prefix",
    "192.0.0.8/32": "IPv4 dummy address",
    "192.0.0.9/32": "port control protocol anycast",
    "192.0.0.10/32": "TURN anycast",
    "192.0.0.170/32": "NAT64/DNS64 discovery",
    "192.0.0.171/32": "NAT64/DNS64 discovery",
    "192.0.2.0/24": "documentation (TEST-NET-1)",
    "192.31.196.0/24": "AS112",
    "192.52.193.0/24": "AMT",
    "192.88.99.0/24": "deprecated 6to4 relay anycast",
    "192.88.99.2/32": "6a44 relay anycast",
    "192.168.0.0/16": "private use",
    "192.175.48.0/24": "direct delegation AS112",
    "198.18.0.0/15": "benchmarking",
    "198.51.100.0/24": "documentation (TEST-NET-2)",
    "203.0.113.0/24": "documentation (TEST-NET-3)",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
    "255.255.255.255/32": "limited broadcast",
}

IPV6_BLOCKS: dict[str, str] = {
    "::/96": "IPv4-compatible (deprecated)",
    "::/128": "unspecified",
    "::1/128": "loopback",
    "::ffff:0:0/96": "IPv4-mapped",
    "::ffff:0:0:0/96": "IPv4-translated",
    "64:ff9b::/96": "NAT64",
    "64:ff9b:1::/48": "NAT64 (local use)",
    "100::/64": "discard only",
    "100:0:0:1::/64": "dummy prefix",
    "2001::/23": "IETF protocol assignments",
    "2001::/32": "Teredo",
    "2001:1::1/128": "port control protocol anycast",
    "2001:1::2/128": "TURN anycast",
    "2001:1::3/128": "DNS-SD service registration anycast",
    "2001:2::/48": "benchmarking",
    "2001:3::/32": "AMT",
    "2001:4:112::/48": "AS112",
    "2001:10::/28": "deprecated ORCHID",
    "2001:20::/28": "ORCHIDv2",
    "2001:30::/28": "drone remote ID",
    "2001:db8::/32": "documentation",
    "2002::/16": "6to4",
    "2620:4f:8000::/48": "direct delegation AS112",
    "3fff::/20": "documentation",
    "5f00::/16": "segment routing identifiers",
    "fc00::/7": "unique local",
    "fe80::/10": "link-local",
    "fec0::/10": "deprecated site-local",
    "ff00::/8": "multicast",
}


def _table(blocks: dict[str, str], kind: type[IPv4Network | IPv6Network]) -> tuple[tuple[int, int, str], ...]:
    networks = sorted((kind(text) for text in blocks), key=lambda network: -network.prefixlen)
    return tuple((int(net.network_address), int(net.broadcast_address), blocks[str(net)]) for net in networks)


_IPV4_TABLE = _table(IPV4_BLOCKS, IPv4Network)
_IPV6_TABLE = _table(IPV6_BLOCKS, IPv6Network)


def special_purpose(address: IPv4Address | IPv6Address) -> str | None:
    """The name of the narrowest block that keeps `address` from being public unicast; None if it is public unicast."""
    number = int(address)
    table = _IPV4_TABLE if isinstance(address, IPv4Address) else _IPV6_TABLE
    for first, last, name in table:
        if first <= number <= last:
            return name
    if isinstance(address, IPv4Address):
        return None
    if number >> 125 != 0b001:
        return "reserved by the IETF"
    if number >> 32 & 0xFFFF_FFFF in ISATAP_IDENTIFIERS:
        return "ISATAP"
    return None
