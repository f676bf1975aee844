"""Addresses as an operator writes them: where to listen (`Bind`) and which networks to open (`Network`). Pure."""

from __future__ import annotations

import ipaddress
import re
from ipaddress import IPv4Network, IPv6Network

from msgspec import Struct

Network = IPv4Network | IPv6Network

_HOST_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}))*")
_SUN_PATH = 107  # Linux, unix(7): sun_path holds 108 bytes with its final zero


class TcpBind(Struct, frozen=True):
    """`host` is an address without brackets or a name; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class UnixBind(Struct, frozen=True):
    """`path` is absolute."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


Bind = TcpBind | UnixBind


def parse_bind(text: str) -> Bind:
    """`host:port`, `[v6]:port` or `unix:/path`. Raises ValueError that says what to write."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path.startswith("/") or "\0" in path:
            raise ValueError("write the socket's whole path, such as unix:/run/tenant-webhooks/api.sock")
        if len(path.encode()) > _SUN_PATH:
            raise ValueError(f"the path of a Unix socket may have at most {_SUN_PATH} bytes")
        return UnixBind(path)
    host, colon, port = text.rpartition(":")
    if not colon or not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError("write host:port with a port from 0 to 65535, such as 127.0.0.1:8080, or unix:/path")
    if host.startswith("[") and host.endswith("]"):
        try:
            return TcpBind(str(ipaddress.IPv6Address(host[1:-1])), int(port))
        except ValueError:
            raise ValueError("what stands in brackets is not an IPv6 address") from None
    if ":" in host:
        raise ValueError("write an IPv6 address in brackets, such as [::1]:8080")
    if not host or host == "*":
        raise ValueError(f"name the address to listen on; for every one write 0.0.0.0:{port} or [::]:{port}")
    if not _HOST_NAME.fullmatch(host) or (host.replace(".", "").isdigit() and not _is_ipv4(host)):
        raise ValueError("the part before the port is neither an address nor a host name")
    return TcpBind(host, int(port))


def parse_network(text: str) -> Network:
    """An address or a network in CIDR form. Raises ValueError that says what to write."""
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        try:
            wide = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise ValueError("write an address or a network such as 10.20.0.0/16 or fd00::/8") from None
        raise ValueError(f"bits are set after the prefix; for the whole network write {wide}") from None


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True
