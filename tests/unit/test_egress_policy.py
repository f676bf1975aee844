"""May we connect there? Every special-purpose block, every way to wrap an IPv4 address, every way to open one."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.egress.blocks import IPV4_BLOCKS, IPV6_BLOCKS, special_purpose
from daemon.egress.policy import OWN, AddressPolicy, is_this_machine
from daemon.egress.wrapped import wrapped_ipv4

CLOSED = AddressPolicy()
BLOCKS = {ip_network(text): name for text, name in {**IPV4_BLOCKS, **IPV6_BLOCKS}.items()}

public_ipv4 = st.integers(0, 2**32 - 1).map(IPv4Address).filter(lambda each: special_purpose(each) is None)
special_ipv4 = st.sampled_from([net for net in BLOCKS if net.version == 4]).flatmap(
    lambda net: st.integers(int(net.network_address), int(net.broadcast_address)).map(IPv4Address)
)


def in_block(network: IPv4Network | IPv6Network) -> st.SearchStrategy[IPv4Address | IPv6Address]:
    return st.integers(0, network.num_addresses - 1).map(lambda offset: network.network_address + offset)


def bits(prefix: str, address: IPv4Address, shift: int) -> IPv6Address:
    return IPv6Address(int(IPv6Address(prefix)) | int(address) << shift)


Wrap = Callable[[IPv4Address], IPv6Address]
WRAPPERS: dict[str, Wrap] = {
    "compatible": lambda each: bits("::", each, 0),
    "mapped": lambda each: bits("::ffff:0:0", each, 0),
    "translated": lambda each: bits("::ffff:0:0:0", each, 0),
    "nat64": lambda each: bits("64:ff9b::", each, 0),
    "nat64-local": lambda each: bits("64:ff9b:1::", each, 0),
    "6to4": lambda each: bits("2002::1", each, 80),
    "teredo-server": lambda each: bits("2001:0:0:0:0:0:f7f7:f7f7", each, 64),
    "teredo-client": lambda each: IPv6Address(int(IPv6Address("2001:0:808:808::")) | (~int(each) & 0xFFFF_FFFF)),
    "isatap": lambda each: bits("2600::5efe:0:0", each, 0),
    "isatap-global": lambda each: bits("2600::200:5efe:0:0", each, 0),
}
# The unspecified address and loopback only look like IPv4-compatible ones.
NOT_WRAPPING = (IPv6Address("::"), IPv6Address("::1"))
OPEN_IPV6 = AddressPolicy([ip_network("::/0")])


@pytest.mark.parametrize("network", BLOCKS, ids=str)
@given(data=st.data())
def test_no_address_of_a_special_purpose_block_may_be_connected_to(
    network: IPv4Network | IPv6Network, data: st.DataObject
) -> None:
    assert CLOSED.refusal(data.draw(in_block(network)), 443, "acme") is not None


@pytest.mark.parametrize("network", BLOCKS, ids=str)
def test_the_first_and_last_address_of_a_block_are_refused_by_a_name(network: IPv4Network | IPv6Network) -> None:
    for address in (network.network_address, network.broadcast_address):
        assert CLOSED.refusal(address, 443, "acme") in BLOCKS.values()


@given(st.one_of(st.integers(0, 2**32 - 1).map(IPv4Address), st.integers(0, 2**128 - 1).map(IPv6Address)))
def test_whatever_python_calls_not_global_is_refused(address: IPv4Address | IPv6Address) -> None:
    if not address.is_global or address.is_multicast:
        assert CLOSED.refusal(address, 443, "acme") is not None


@given(st.integers(0, 2**128 - 1).filter(lambda number: number >> 125 != 1).map(IPv6Address))
def test_nothing_outside_the_global_unicast_space_of_ipv6_passes(address: IPv6Address) -> None:
    assert CLOSED.refusal(address, 443, "acme") is not None


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("127.0.0.1", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "this network"),
        ("169.254.169.254", "link-local"),
        ("100.100.100.200", "shared address space (CGNAT)"),
        ("192.0.0.192", "IETF protocol assignments"),
        ("255.255.255.255", "limited broadcast"),
        ("239.1.2.3", "multicast"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("fd00:ec2::254", "unique local"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("::ffff:8.8.8.8", "IPv4-mapped"),
        ("::7f00:1", "IPv4-compatible (deprecated)"),
        ("64:ff9b::8.8.8.8", "NAT64"),
        ("2002:808:808::", "6to4"),
        ("2001:0:808:808::f7f7:f7f7", "Teredo"),
        ("2600::5efe:808:808", "ISATAP"),
        ("ff0e::1", "multicast"),
        ("4000::1", "reserved by the IETF"),
        ("3fff:fff::1", "documentation"),
    ],
)
def test_a_refusal_names_the_narrowest_block(address: str, name: str) -> None:
    assert CLOSED.refusal(ip_address(address), 443, "acme") == name


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "172.32.0.1", "2606:4700:4700::1111", "2a00:1450::1"])
def test_public_unicast_passes(address: str) -> None:
    assert CLOSED.refusal(ip_address(address), 443, "acme") is None


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
@given(inner=st.one_of(public_ipv4, special_ipv4))
def test_an_ipv6_form_that_wraps_an_ipv4_address_is_refused_whatever_it_wraps(wrap: Wrap, inner: IPv4Address) -> None:
    assert CLOSED.refusal(wrap(inner), 443, "acme") is not None
    if wrap(inner) not in NOT_WRAPPING:
        assert inner in wrapped_ipv4(wrap(inner))


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
@given(inner=special_ipv4)
def test_opening_the_wrapping_form_does_not_open_what_it_wraps(wrap: Wrap, inner: IPv4Address) -> None:
    if wrap(inner) not in NOT_WRAPPING:
        assert OPEN_IPV6.refusal(wrap(inner), 443, "acme") is not None


HOLDING_64_BITS: dict[str, Callable[[IPv4Address], int]] = {
    "6to4": lambda each: 0x2002 << 112 | int(each) << 80,
    "teredo": lambda each: 0x2001_0000 << 96 | int(each) << 64,
    "nat64-local": lambda each: 0x0064_FF9B_0001 << 80 | int(each) >> 16 << 64,
    "none": lambda each: 0x2600 << 112 | int(each) << 64,
}


@pytest.mark.parametrize("identifier", [0x0000_5EFE, 0x0200_5EFE])
@pytest.mark.parametrize("network", HOLDING_64_BITS.values(), ids=HOLDING_64_BITS)
@given(outer=public_ipv4, inner=special_ipv4)
def test_an_address_that_wraps_in_two_ways_must_pass_with_both(
    network: Callable[[IPv4Address], int], identifier: int, outer: IPv4Address, inner: IPv4Address
) -> None:
    address = IPv6Address(network(outer) | identifier << 32 | int(inner))
    assert inner in wrapped_ipv4(address)
    assert OPEN_IPV6.refusal(address, 443, "acme") is not None


@pytest.mark.parametrize("prefix", [48, 56, 64])
@given(inner=special_ipv4)
def test_local_use_nat64_is_unwrapped_wherever_rfc_6052_may_put_the_address(prefix: int, inner: IPv4Address) -> None:
    # RFC 6052 section 2.2: bits 64 to 71 are left out.
    joined = int(IPv6Address("64:ff9b:1::")) >> 8 | int(inner) << 120 - prefix - 32
    address = IPv6Address(joined >> 56 << 64 | joined & (1 << 56) - 1)
    assert inner in wrapped_ipv4(address)
    assert OPEN_IPV6.refusal(address, 443, "acme") is not None


def test_nat64_opened_by_the_operator_reaches_public_addresses() -> None:
    policy = AddressPolicy([ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48")])
    assert policy.refusal(ip_address("64:ff9b::8.8.8.8"), 443, "acme") is None
    assert policy.refusal(ip_address("64:ff9b:1:2::8.8.8.8"), 443, "acme") is None
    assert policy.refusal(ip_address("64:ff9b::10.0.0.1"), 443, "acme") == "private use"


def test_both_the_form_and_the_inner_address_may_be_opened() -> None:
    policy = AddressPolicy([ip_network("::ffff:0:0/96"), ip_network("127.0.0.0/8")])
    assert policy.refusal(ip_address("::ffff:127.0.0.1"), 443, "acme") is None
    assert AddressPolicy([ip_network("127.0.0.0/8")]).refusal(ip_address("::ffff:127.0.0.1"), 443, "acme")


def test_allow_opens_exactly_its_networks() -> None:
    policy = AddressPolicy([ip_network("10.1.0.0/16")])
    assert policy.refusal(ip_address("10.1.255.255"), 443, "acme") is None
    assert policy.refusal(ip_address("10.2.0.0"), 443, "acme") == "private use"


def test_a_tenants_own_networks_open_nothing_for_another() -> None:
    policy = AddressPolicy([], {"acme": [ip_network("10.1.0.0/16")]})
    assert policy.refusal(ip_address("10.1.0.1"), 443, "acme") is None
    assert policy.refusal(ip_address("10.1.0.1"), 443, "globex") == "private use"


ALL = [ip_network("0.0.0.0/0"), ip_network("::/0")]
EVERYTHING = AddressPolicy(ALL, is_local=lambda _: False)


@pytest.mark.parametrize(
    ("own", "asked"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "::ffff:127.0.0.1"),
        ("127.0.0.1", "64:ff9b::127.0.0.1"),
        ("127.0.0.1", "0.0.0.0"),
        ("::1", "::1"),
        ("::1", "::"),
        ("0.0.0.0", "127.8.9.10"),
        ("0.0.0.0", "0.0.0.0"),
        ("::", "::1"),
        ("::", "127.0.0.1"),
        ("::ffff:10.0.0.9", "10.0.0.9"),
        ("fe80::1%eth0", "fe80::1"),
        ("fe80::1", "fe80::1%eth0"),
    ],
)
def test_nothing_opens_what_this_daemon_listens_on(own: str, asked: str) -> None:
    policy = AddressPolicy(ALL, own=[(own, 8080)], is_local=lambda _: False)
    assert policy.refusal(ip_address(asked), 8080, "acme") == OWN
    assert policy.refusal(ip_address(asked), 8081, "acme") is None


def test_a_daemon_that_listens_everywhere_refuses_every_address_of_its_machine() -> None:
    mine = ip_address("192.168.7.7")
    everything = [ip_network("0.0.0.0/0")]
    policy = AddressPolicy(everything, own=[("0.0.0.0", 8080)], is_local=lambda each: each == mine)
    assert policy.refusal(mine, 8080, "acme") == OWN
    assert policy.refusal(ip_address("192.168.7.8"), 8080, "acme") is None


def test_this_machine_knows_its_own_addresses() -> None:
    assert is_this_machine(ip_address("127.0.0.1"))
    assert not is_this_machine(ip_address("192.0.2.1"))
