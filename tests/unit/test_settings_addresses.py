"""Addresses as an operator writes them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.settings import TcpBind, UnixBind, parse_bind, parse_network

PORTS = st.integers(0, 65535)


@given(st.ip_addresses(v=4).map(str) | st.just("localhost") | st.just("api.example.com"), PORTS)
def test_a_host_and_port_come_back_as_written(host: str, port: int) -> None:
    assert parse_bind(f"{host}:{port}") == TcpBind(host, port)
    assert str(parse_bind(f"{host}:{port}")) == f"{host}:{port}"


@given(st.ip_addresses(v=6).map(str), PORTS)
def test_an_ipv6_address_stands_in_brackets(host: str, port: int) -> None:
    assert parse_bind(f"[{host}]:{port}") == TcpBind(host, port)
    assert str(parse_bind(f"[{host}]:{port}")) == f"[{host}]:{port}"
    with pytest.raises(ValueError, match="brackets"):
        parse_bind(f"{host}:{port}")


def test_a_unix_socket_is_named_by_its_whole_path() -> None:
    assert parse_bind("unix:/run/house.sock") == UnixBind("/run/house.sock")
    assert str(UnixBind("/run/house.sock")) == "unix:/run/house.sock"
    assert parse_bind("unix:/" + "a" * 106)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "write host:port"),
        ("8080", "write host:port"),
        ("127.0.0.1", "write host:port"),
        ("127.0.0.1:http", "write host:port"),
        ("127.0.0.1:65536", "from 0 to 65535"),
        ("127.0.0.1:-1", "from 0 to 65535"),
        ("127.0.0.1:٣", "from 0 to 65535"),
        (":8080", "write 0.0.0.0:8080"),
        ("*:8080", "write 0.0.0.0:8080"),
        ("[::g]:80", "not an IPv6 address"),
        ("999.0.0.1:80", "neither an address nor a host name"),
        ("1.2.3:80", "neither an address nor a host name"),
        ("a b:80", "neither an address nor a host name"),
        ("http://a:80", "in brackets"),
        ("unix:", "whole path"),
        ("unix:run/house.sock", "whole path"),
        ("unix:/a\0b", "whole path"),
        ("unix:/" + "a" * 107, "at most 107 bytes"),
    ],
)
def test_what_cannot_be_listened_on_is_refused_with_what_to_write(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_bind(text)


@given(st.text())
def test_no_text_makes_the_parsers_fail_in_another_way(text: str) -> None:
    for parse in (parse_bind, parse_network):
        with contextlib.suppress(ValueError):
            parse(text)


@pytest.mark.parametrize(
    ("text", "network"),
    [("10.0.0.0/8", "10.0.0.0/8"), ("127.0.0.1", "127.0.0.1/32"), ("::1", "::1/128"), ("fd00::/8", "fd00::/8")],
)
def test_networks_are_read(text: str, network: str) -> None:
    assert str(parse_network(text)) == network


def test_a_network_with_bits_after_its_prefix_is_corrected_in_words() -> None:
    with pytest.raises(ValueError, match=r"write 10\.0\.0\.0/8"):
        parse_network("10.1.2.3/8")
