"""Which headers a webhook may have, and that no value is ever shown or lost."""

from __future__ import annotations

import json
import string
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.delivery.target import Target
from daemon.model import Endpoint
from daemon.static_headers import HIDDEN, MOST, MOST_BYTES, faults, hidden, is_reserved, reserved_names, restored

NAMES = st.text(string.ascii_letters + string.digits + "-_!#$%&'*+.^`|~", min_size=1, max_size=30).filter(
    lambda name: not is_reserved(name)
)
VALUES = st.text("".join(map(chr, range(0x21, 0x7F))), min_size=1, max_size=40).filter(lambda value: value != HIDDEN)


def culprits(wanted: dict[str, str], stored: dict[str, str] | None = None) -> list[str | None]:
    return [name for name, _ in faults(wanted, stored or {})]


@given(st.dictionaries(NAMES, VALUES, max_size=MOST))
def test_what_is_accepted_is_sent_as_it_is_on_a_line_of_its_own_with_a_small_name(headers: dict[str, str]) -> None:
    if len({name.lower() for name in headers}) < len(headers):
        assert culprits(headers)
        return
    assert culprits(headers) == []
    stored = restored(headers, {})
    endpoint = Endpoint(1, "w", "acme", "https://example.com/", (b"k" * 32,), json.dumps(stored))
    lines = Target(endpoint).head("evt_1", b"{}", 1).decode().split("\r\n")
    for name, value in headers.items():
        assert lines.count(f"{name.lower()}: {value}") == 1
    assert len(lines) == 1 + 1 + 3 + len(headers) + 3 + 1


@given(st.text(max_size=5), st.text(max_size=5))
def test_nothing_that_could_break_a_line_is_accepted(name: str, value: str) -> None:
    if not culprits({name: value}):
        assert ":" not in name
        assert (name + value).isascii()
        assert all(character.isprintable() or character == "\t" for character in name + value)
        assert value == value.strip()


RESERVED = """
Host content-type Content-Length connection TRANSFER-ENCODING te trailer upgrade keep-alive proxy-authorization proxy
user-agent accept-encoding expect webhook-id webhook-signature traceparent tracestate
x-aws-ec2-metadata-token metadata-flavor x-http-method-override X-Middleware-Subrequest

Forwarded X-Forwarded X-Forwarded-For X-Forwarded-Host X-Forwarded-Client-Cert X_Forwarded_For Forwarded-For
Via CDN-Loop X-Original-Forwarded-For X-Envoy-External-Address X-Envoy-Original-Path X-Vercel-Forwarded-For

X-Real-IP X-Client-IP X-Cluster-Client-IP Client-IP True-Client-IP X-True-Client-IP X-Remote-IP X-Remote-Addr
X-Originating-IP X-ProxyUser-IP X-AppEngine-User-IP X-AppEngine-Cron X-Azure-ClientIP X-Azure-SocketIP
CF-Connecting-IP CF-Connecting-IPv6 CF-Pseudo-IPv4 CF_Connecting_IP Fastly-Client-IP Fly-Client-IP
X-NF-Client-Connection-IP CloudFront-Viewer-Address

X-Original-URL X-Original-URI X-Original-Host X-Original-Method X-Rewrite-URL X-Host X-Host-Override
X-HTTP-Host-Override X-HTTP-DestinationURL X-WAWS-Unencoded-URL X-Scheme X-URL-Scheme Front-End-HTTPS

Client-Cert Client-Cert-Chain SSL-Client-Verify X-SSL-Client-S-DN X-Client-Cert Remote-User X-Remote-User
X-Remote-Group X-MS-Client-Principal-Id X-Goog-Authenticated-User-Email X-Goog-IAP-JWT-Assertion
X-AMZN-OIDC-Identity CF-Access-Authenticated-User-Email CF-Access-JWT-Assertion
"""
FREE = """
Authorization X-API-Key X-Auth-Token Cookie Accept Accept-Language X-Request-Source X-Tenant X-Environment X-Client-Id
CF-Access-Client-Id CF-Access-Client-Secret X-Functions-Key X-Goog-API-Key X-AMZ-Security-Token X-Real-Estate X-Hub
Ocp-Apim-Subscription-Key X-Vercel-Protection-Bypass X-GitHub-Event Hosted X-Hosting-Id Forward-To
"""


@pytest.mark.parametrize("name", RESERVED.split())
def test_a_name_that_is_not_a_webhooks_to_set_is_refused_and_the_error_lists_them_all(name: str) -> None:
    ((culprit, detail),) = faults({name: "x"}, {})
    assert culprit == name
    assert reserved_names() in detail


@pytest.mark.parametrize("name", FREE.split())
def test_a_name_that_receivers_ask_their_own_callers_for_is_a_webhooks_to_set(name: str) -> None:
    assert culprits({name: "x"}) == []


def test_the_list_is_told_once() -> None:
    details = [detail for _, detail in faults({"host": "x", "via": "x", "te": "x"}, {})]
    assert [reserved_names() in detail for detail in details] == [True, False, False]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({"": "x"}, [""]),
        ({"a b": "x"}, ["a b"]),
        ({"a:": "x"}, ["a:"]),
        ({"ä": "x"}, ["ä"]),
        ({"a": ""}, ["a"]),
        ({"a": " x"}, ["a"]),
        ({"a": "x\r\nb: y"}, ["a"]),
        ({"a": "x\0"}, ["a"]),
        ({"a": "x\n"}, ["a"]),
        ({"a": "é"}, ["a"]),
        ({"a": "x", "A": "y"}, ["A"]),
        ({"a": HIDDEN}, ["a"]),
        ({f"h{n}": "x" for n in range(MOST + 1)}, [None]),
        ({"a": "x" * MOST_BYTES}, [None]),
        ({"a": "x" * (MOST_BYTES - 1)}, []),
        ({"a": "x y\tz"}, []),
    ],
)
def test_what_is_refused_is_pointed_at(wanted: dict[str, str], names: list[str | None]) -> None:
    assert culprits(wanted) == names


class Unread(dict[str, str]):
    def items(self) -> NoReturn:
        raise AssertionError("each of very many headers is looked at")


def test_of_too_many_headers_none_is_looked_at() -> None:
    assert culprits(Unread({f"h{n}": "x" for n in range(MOST + 1)})) == [None]


@given(st.dictionaries(NAMES.map(str.lower), VALUES, max_size=MOST))
def test_what_is_shown_may_be_given_back_and_keeps_every_value(stored: dict[str, str]) -> None:
    shown = hidden(stored)
    assert set(shown.values()) <= {HIDDEN}
    assert culprits({name.upper(): value for name, value in shown.items()}, stored) == []
    assert restored({name.upper(): value for name, value in shown.items()}, stored) == stored


def test_kept_values_count_towards_the_size() -> None:
    stored = {"a": "x" * 4000}
    wanted = {"a": HIDDEN, "b": "y" * 200}
    assert culprits(wanted, stored) == [None]
    with pytest.raises(ValueError, match="more than"):
        restored(wanted, stored)
