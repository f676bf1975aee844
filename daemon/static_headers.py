"""Headers that a webhook has of its own: which may stand beside ours (RFC 9110 §5.1, §5.5), and how their values, which
are secrets, are shown and kept. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST: Final = 20
MOST_BYTES: Final = 4096
"""Of all names and values together."""
HIDDEN: Final = "***"
"""What is shown in place of a value. Given back, it stands for the value that is stored."""

# What frames the message or says who sends it is ours, what traces it the publisher's, the way it came the proxies'.
_OURS: Final = ("host", "connection", "transfer-encoding", "te", "trailer", "upgrade", "keep-alive", "http2-settings")
_SENDERS: Final = ("user-agent", "accept-encoding", "expect", "date")
_TRACES: Final = ("traceparent", "tracestate", "baggage")
_ON_THE_WAY: Final = ("via", "forwarded", "forwarded-for", "x-forwarded", "max-forwards", "cdn-loop", "front-end-https")
# Receivers believe these of the proxy in front of them: the caller's address …
_ADDRESSES: Final = (
    *("client-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip", "x-true-client-ip", "x-real-ip"),
    *("x-remote-ip", "x-remote-addr", "x-originating-ip", "x-proxyuser-ip", "x-azure-clientip", "x-azure-socketip"),
    *("cf-connecting-ip", "cf-connecting-ipv6", "cf-pseudo-ipv4", "fastly-client-ip", "fly-client-ip"),
    *("x-nf-client-connection-ip", "x-vercel-forwarded-for"),
)
# … what was asked for, which a framework then takes for the path or host, past the proxy's rules …
_TARGETS: Final = (
    *("x-host", "x-host-override", "x-http-host-override", "x-http-destinationurl", "x-waws-unencoded-url"),
    *("x-scheme", "x-url-scheme"),
)
# … and who the caller has proved to be.
_IDENTITIES: Final = (
    *("client-cert", "client-cert-chain", "x-client-cert", "remote-user", "x-remote-user", "x-remote-group"),
    *("x-goog-iap-jwt-assertion", "cf-access-jwt-assertion", "cf-access-authenticated-user-email"),
)
# By these a cloud's metadata service, or a framework, would be talked into what a plain POST is never let do.
_METADATA: Final = ("metadata", "metadata-flavor", "x-google-metadata-request")
# `proxy` becomes HTTP_PROXY in a CGI's environment.
_METHODS: Final = ("x-http-method", "x-http-method-override", "x-method-override")
_TALKED_INTO: Final = ("proxy", "x-middleware-subrequest", *_METHODS)
_RESERVED: Final = frozenset(
    (*_OURS, *_SENDERS, *_TRACES, *_ON_THE_WAY, *_ADDRESSES, *_TARGETS, *_IDENTITIES, *_METADATA, *_TALKED_INTO)
)
_PREFIXES: Final = (
    *("content-", "proxy-", "webhook-", "x-aws-ec2-metadata-", "x-forwarded-", "x-original-", "x-rewrite-", "x-envoy-"),
    *("x-appengine-", "cloudfront-viewer-", "ssl-client-", "x-ssl-client-", "x-ms-client-principal"),
    *("x-goog-authenticated-user-", "x-amzn-oidc-"),
)
NAME: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
VALUE: Final = r"[!-~](?:[ \t!-~]*[!-~])?"
_NAME: Final = re.compile(NAME)
_VALUE: Final = re.compile(VALUE)


def is_reserved(name: str) -> bool:
    """Whether the name, in any case, is not a webhook's to set. Nor is it with underscores: many servers make no
    difference between those and hyphens (RFC 3875 §4.1.18)."""
    key = name.lower().replace("_", "-")
    return key in _RESERVED or key.startswith(_PREFIXES)


def reserved_names() -> str:
    """All of them, for people."""
    return ", ".join([*sorted(_RESERVED), *(f"{prefix}*" for prefix in _PREFIXES)])


def faults(wanted: Mapping[str, str], stored: Mapping[str, str]) -> Iterator[tuple[str | None, str]]:
    """What is wrong with headers as they are given, each with the name, or None for all of them together. `stored` are
    those that a hidden value may stand for. No value is repeated. Of more than `MOST` none is looked at: they
    may be very many."""
    if len(wanted) > MOST:
        yield None, f"has {len(wanted)} headers; at most {MOST} are sent"
        return
    seen: set[str] = set()
    size, told = 0, False
    for name, value in wanted.items():
        key = name.lower()
        size += len(name) + len(stored.get(key, "") if value == HIDDEN else value)
        if not _NAME.fullmatch(name):
            yield name, "is not the name of a header; use letters, digits and hyphens"
        elif is_reserved(name):
            yield name, "is reserved; leave it out" + ("" if told else f". Reserved are {reserved_names()}")
            told = True
        elif key in seen:
            yield name, "is given twice: upper and lower case make no difference in names of headers; leave one out"
        elif value == HIDDEN:
            if key not in stored:
                yield name, f"“{HIDDEN}” stands for a value that is stored, and none is under this name; give the value"
        elif not _VALUE.fullmatch(value):
            yield name, "must be visible ASCII characters, with spaces or tabs between them at most, and not empty"
        seen.add(key)
    if size > MOST_BYTES:
        yield None, f"has {size} bytes of names and values; at most {MOST_BYTES} are sent"


def restored(wanted: Mapping[str, str], stored: Mapping[str, str]) -> dict[str, str]:
    """What is to be stored: names in lower case, hidden values as they are stored. Raises KeyError for one that is not,
    ValueError if that makes it too large."""
    headers = {name.lower(): stored[name.lower()] if value == HIDDEN else value for name, value in wanted.items()}
    if sum(map(len, (*headers, *headers.values()))) > MOST_BYTES:
        raise ValueError("more than may be sent")
    return headers


def hidden(headers: Mapping[str, str]) -> dict[str, str]:
    """As they are shown."""
    return dict.fromkeys(headers, HIDDEN)
