"""What a webhook's URL may be, and what it says: one pure reading for registration, ping and delivery.

RFC 3986, made stricter where its readers disagree (that is where guards are fooled); hosts that look like numbers are
read as the WHATWG URL Standard and inet_aton do, so that no spelling of an address passes for a name.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final, Literal
from unicodedata import is_normalized

import idna
from msgspec import Struct

MAX_LENGTH: Final = 2048

_SPLIT = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(//([^/?#]*))?([^?#]*)(\?[^#]*)?(#.*)?", re.DOTALL)
_UNWANTED = re.compile(r"[\x00-\x20\x7f\ud800-\udfff]")
_AUTHORITY = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*)(?::([0-9]*))?")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
_MUST_BE_ENCODED = re.compile(r"[^!#$%&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~]")


class UrlError(ValueError):
    """The URL cannot be a webhook's. `detail` says what to change."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class ParsedTarget(Struct, frozen=True):
    """Where a URL leads. `host` is for people and for the certificate: lower case, ASCII, no final dot, no brackets,
    a literal address in its canonical form; `name` is what the resolver is asked; `authority` is the Host header and
    `target` the request target, both ready for the wire; `literal` is the address if the host is one."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    name: str
    authority: bytes
    target: bytes
    literal: IPv4Address | IPv6Address | None

    @property
    def tls(self) -> bool:
        return self.scheme == "https"

    @property
    def origin(self) -> tuple[str, str, int]:
        """What a connection is to (RFC 6454 §4)."""
        return (self.scheme, self.host, self.port)


def check_url(url: str, *, require_https: bool) -> ParsedTarget:
    """Reads an absolute http or https URL. Raises UrlError; what the host may resolve to is the policy's question."""
    if len(url) > MAX_LENGTH:
        raise UrlError(f"The URL is longer than {MAX_LENGTH} characters.")
    if _UNWANTED.search(url):
        raise UrlError("The URL has white space or control characters: percent-encode them.")
    split = _SPLIT.fullmatch(url)
    if split is None:
        raise UrlError("The URL must be absolute, like https://example.com/webhooks.")
    scheme, slashes, authority, path, query, fragment = split.groups()
    scheme = scheme.lower()
    if scheme not in ("http", "https"):
        raise UrlError("The URL must begin with https:// or http://.")
    if slashes is None or not authority:
        raise UrlError("The URL must name a host, like https://example.com/webhooks.")
    if scheme == "http" and require_https:
        raise UrlError("The URL must begin with https:// (the setting egress.require_https is on).")
    if fragment is not None:
        raise UrlError("The URL must have no fragment (the part from #): it would never be sent.")
    host, name, literal, port = _read_authority(authority)
    default = 443 if scheme == "https" else 80
    shown = f"[{host}]" if isinstance(literal, IPv6Address) else host
    return ParsedTarget(
        scheme="https" if scheme == "https" else "http",
        host=host,
        port=port or default,
        name=name,
        authority=(shown if port in (None, default) else f"{shown}:{port}").encode("ascii"),
        target=_MUST_BE_ENCODED.sub(_percent_encoded, (path or "/") + (query or "")).encode("ascii"),
        literal=literal,
    )


def _read_authority(authority: str) -> tuple[str, str, IPv4Address | IPv6Address | None, int | None]:
    if "@" in authority:
        raise UrlError("The URL must have no user name or password: deliveries are authenticated by their signature.")
    if "\\" in authority:
        raise UrlError("The URL has a backslash in its host.")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise UrlError(
            "The URL's host and port cannot be read: expected host or host:port, an IPv6 address in brackets."
        )
    written, digits = parts.groups()
    port = _read_port(digits) if digits else None
    if written.startswith("["):
        address = _read_ipv6(written[1:-1])
        return str(address), str(address), address, port
    name = _ascii_name(written)
    host = name.removesuffix(".")
    literal = _read_ipv4(host)
    if literal is not None:
        return str(literal), str(literal), literal, port
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise UrlError("The URL's host is not a valid name.")
    return host, name, None, port


def _read_port(digits: str) -> int:
    if len(digits) > 5 or not 1 <= int(digits) <= 65535:
        raise UrlError("The URL's port must be between 1 and 65535.")
    return int(digits)


def _ascii_name(written: str) -> str:
    if "%" in written:
        raise UrlError("The URL's host must not be percent-encoded.")
    if written.isascii():
        return written.lower()
    try:
        # IDNA 2008, which maps nothing but capitals: a look-alike (full-width digits, say) is refused, not translated.
        # Lower case alone would make an ordinary letter of the Kelvin sign.
        if not is_normalized("NFC", written):
            raise idna.IDNAError("not in normal form")
        return idna.encode(written.lower()).decode("ascii").lower()
    except idna.IDNAError as error:
        raise UrlError("The URL's host is not a valid internationalised name.") from error


def _read_ipv6(text: str) -> IPv6Address:
    if "%" in text:
        raise UrlError("The URL's host has an IPv6 zone, which only this machine would understand: leave it out.")
    try:
        return IPv6Address(text)
    except AddressValueError as error:
        raise UrlError("The URL's host is not a valid IPv6 address.") from error


def _read_ipv4(host: str) -> IPv4Address | None:
    """1 to 4 parts, each decimal, octal (0…) or hexadecimal (0x…), the last filling the rest; None for a name."""
    parts = host.split(".")
    if not _NUMBER.fullmatch(parts[-1]):
        return None
    if len(parts) > 4 or not all(_NUMBER.fullmatch(part) for part in parts):
        raise UrlError("The URL's host ends in a number but is not an IPv4 address.")
    try:
        *leading, last = [_read_number(part) for part in parts]
    except ValueError as error:
        raise UrlError("The URL's host is not a valid IPv4 address.") from error
    if any(part > 255 for part in leading) or last >= 256 ** (4 - len(leading)):
        raise UrlError("The URL's host is not a valid IPv4 address: a part is too large.")
    return IPv4Address(sum(part << 8 * (3 - place) for place, part in enumerate(leading)) + last)


def _read_number(part: str) -> int:
    if len(part) > 64:
        raise ValueError("longer than any address")
    if part.startswith("0x"):
        return int(part[2:] or "0", 16)
    return int(part, 8) if part.startswith("0") else int(part)


def _percent_encoded(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match.group().encode())
