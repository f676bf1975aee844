"""What a webhook's URL may be: every spelling of a host, and that no two readers disagree."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.egress.guard import refuse_addresses, refuse_literal
from daemon.egress.policy import AddressPolicy
from daemon.egress.url import ParsedTarget, UrlError, check_url


def read(url: str) -> ParsedTarget:
    return check_url(url, require_https=False)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1.",
        "2130706433",
        "0x7f000001",
        "0X7F000001",
        "017700000001",
        "0177.0.0.1",
        "0x7f.0.0.1",
        "0x7F.1",
        "127.1",
        "127.0.1",
        "127.0x0.0.01",
        "00000177.0.0.1",
        "127。0。0。1",
        "127.0.0\uff0e1",
        "127.0.0\uff611",
        "2130706433.",
        "0x7f000001.",
        "0x7f.0x0.0x0.0x1",
        "0177.0.0.01",
        "0177.0x0.1",
        "0X7f.0.1",
    ],
)
def test_every_spelling_of_an_ipv4_address_is_recognised(host: str) -> None:
    target = read(f"http://{host}:8080/hook")
    assert target.literal == IPv4Address("127.0.0.1")
    assert (target.host, target.authority) == ("127.0.0.1", b"127.0.0.1:8080")


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("[::1]", "::1"),
        ("[0:0:0:0:0:0:0:1]", "::1"),
        ("[::FFFF:127.0.0.1]", "::ffff:127.0.0.1"),
        ("[::ffff:7f00:1]", "::ffff:127.0.0.1"),
        ("[2606:4700::1111]", "2606:4700::1111"),
    ],
)
def test_ipv6_addresses_are_recognised_in_brackets(host: str, address: str) -> None:
    target = read(f"https://{host}/")
    assert target.literal == IPv6Address(address)
    assert target.authority == f"[{IPv6Address(address)}]".encode()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "/relative",
        "//example.com/x",
        "http:example.com",
        "http:/example.com",
        "http://",
        "http:///path",
        "https://:443/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_x",
        "javascript:alert(1)",
        "http://user:password@example.com/",
        "http://user@example.com/",
        "http://@example.com/",
        "http://public.example@127.0.0.1/",
        "http://127.0.0.1\\@public.example/",
        "http://public.example\\.evil/",
        "http://example.com/#fragment",
        "http://example.com/#",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:-1/",
        "http://example.com:+80/",
        "http://example.com:8o/",
        "http://example.com:80:80/",
        "http://example.com:٨٠/",
        "http://exa mple.com/",
        "http://example.com/a b",
        "http://example.com/\r\nX-Injected: 1",
        "http://example.com\x00.evil/",
        "http://example.com/\x00",
        "http://example.com/\ud800",
        "\thttp://example.com/",
        "http://example.com/ ",
        "http://%31%32%37.0.0.1/",
        "http://127.0.0.1%00.example/",
        "http://[::1%25eth0]/",
        "http://[fe80::1%eth0]/",
        "http://[::1/",
        "http://::1/",
        "http://[v1.x]/",
        "http://[127.0.0.1]/",
        "http://[::1].example/",
        "http://1.2.3.4.5/",
        "http://256.1.1.1/",
        "http://1.2.3.256/",
        "http://4294967296/",
        "http://08.1.1.1/",
        "http://example.0x1/",
        "http://example.123/",
        "http://127.0.0.1../",
        "http://a..b/",
        "http://.example.com/",
        "http://-a.example/",
        "http://a-.example/",
        "http://exa$mple.com/",
        "http://a,b/",
        "http://" + "a" * 64 + ".example/",
        "http://" + ".".join(["a" * 50] * 6) + "/",
        "http://\uff11\uff12\uff17.0.0.1/",
        "http://①②⑦.0.0.1/",
        "http://example.com\r\n/",
        "http://exam\rple.com/",
        "http://exam\nple.com/",
        "http://127.0.0.1\r\n.example/",
        "http://example.com%0d%0aX-Injected:1/",
        "http://example%2ecom/",
        "http://[::1\r\n]/",
        "http://[::1]\x00/",
        "http://[::1]%00/",
        "http://[::ffff:127.0.0.1%25lo]/",
        "http://[fe80::1%25]/",
        "http://[%3a%3a1]/",
        "http://[[::1]]/",
        "http://[::1]]/",
        "http://[]/",
        "http://[:::1]/",
        "http://[::127.0.0.256]/",
        "http://[::0177.0.0.1]/",
        "http://user:@example.com/",
        "http://:password@example.com/",
        "http://user%40example.com@127.0.0.1/",
        "http://127.0.0.1:80@example.com/",
        "http://0x7f.1.example.0/",
        "http://-1/",
        "http://xn--/",
        "http://exa\u200dmple.com/",
        "http://exa\u202emple.com/",
        "http://ⓔxample.com/",
        "http://\u212aube.example/",
        "http://\u212bngstrom.example/",
        "http://" + "9" * 1000 + "/",
        "http://example.com/" + "a" * 2048,
    ],
)
def test_what_no_webhook_may_have_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(UrlError) as caught:
        read(url)
    assert caught.value.detail.endswith((".", "on)."))


def test_credentials_are_not_repeated_in_the_refusal() -> None:
    with pytest.raises(UrlError) as caught:
        read("https://user:hunter2@example.com/")
    assert "hunter2" not in caught.value.detail


@pytest.mark.parametrize(
    ("url", "host", "port", "authority", "target"),
    [
        ("https://example.com", "example.com", 443, b"example.com", b"/"),
        ("HTTPS://EXAMPLE.com:443/A?b=C", "example.com", 443, b"example.com", b"/A?b=C"),
        ("http://example.com:80", "example.com", 80, b"example.com", b"/"),
        ("http://example.com:/x", "example.com", 80, b"example.com", b"/x"),
        ("http://example.com:0443?q", "example.com", 443, b"example.com:443", b"/?q"),
        ("http://example.com:443/", "example.com", 443, b"example.com:443", b"/"),
        (
            "https://bücher.example/ü?ß=é",
            "xn--bcher-kva.example",
            443,
            b"xn--bcher-kva.example",
            b"/%C3%BC?%C3%9F=%C3%A9",
        ),
        ("https://example.com./x", "example.com", 443, b"example.com", b"/x"),
        ("https://my_host/x%20y|z", "my_host", 443, b"my_host", b"/x%20y%7Cz"),
        ("http://example.com/a@b:c", "example.com", 80, b"example.com", b"/a@b:c"),
        ("http://example.com?u=http://x@y/", "example.com", 80, b"example.com", b"/?u=http://x@y/"),
        ("http://0xab.example/", "0xab.example", 80, b"0xab.example", b"/"),
    ],
)
def test_an_acceptable_url_is_read_as_it_will_be_sent(
    url: str, host: str, port: int, authority: bytes, target: bytes
) -> None:
    parsed = read(url)
    assert (parsed.host, parsed.port, parsed.authority, parsed.target) == (host, port, authority, target)
    assert parsed.literal is None


def test_a_final_dot_still_reaches_the_resolver() -> None:
    assert read("https://example.com./").name == "example.com."


def test_2048_characters_are_allowed() -> None:
    assert read("http://example.com/" + "a" * (2048 - 19))


def test_require_https_refuses_http_and_names_the_setting() -> None:
    with pytest.raises(UrlError, match=r"egress\.require_https"):
        check_url("http://example.com/", require_https=True)
    assert check_url("https://example.com/", require_https=True).tls


printable = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_categories=["Cs"]), max_size=30)
hosts = st.one_of(
    st.sampled_from(
        ["example.com", "a.b", "[::1]", "127.1", "bücher.example", "xn--bcher-kva.example", "0x7f.1", "a_b"]
    ),
    st.from_regex(r"[A-Za-z0-9.:_\[\]-]{1,20}", fullmatch=True),
    printable,
)


@given(scheme=st.sampled_from(["http", "https", "HTTP"]), host=hosts, rest=printable)
def test_what_is_accepted_means_the_same_to_httpx(scheme: str, host: str, rest: str) -> None:
    try:
        target = read(f"{scheme}://{host}/{rest}")
    except UrlError:
        return
    again = read(str(httpx.URL(f"{scheme}://{host}/{rest}")))
    assert (again.scheme, again.host, again.port, again.literal) == (
        target.scheme,
        target.host,
        target.port,
        target.literal,
    )
    assert target.target.startswith(b"/")
    assert not set(target.target + target.authority) & set(b" \r\n\0\t")


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(UrlError):
        assert read(text).host


@given(st.integers(0, 2**32 - 1), st.integers(0, 80))
def test_numbers_are_read_as_inet_aton_reads_them(number: int, style: int) -> None:
    formats = ("{:d}", "{:#x}", "0{:o}")
    parts = [number >> 24, number >> 16 & 255, number >> 8 & 255, number & 255]
    count = style % 4 + 1
    last = number & (1 << 8 * (5 - count)) - 1
    shown = [*parts[: count - 1], last]
    host = ".".join(formats[(style // 4 + place) % 3].format(part) for place, part in enumerate(shown))
    assert read(f"http://{host}/").literal == IPv4Address(number)


CLOSED = AddressPolicy()


def test_a_refused_literal_is_named_with_its_block_and_the_setting() -> None:
    detail = refuse_literal(read("http://0x7f.1/"), CLOSED, "acme")
    assert detail is not None
    assert "127.0.0.1" in detail
    assert "loopback" in detail
    assert "egress.allow" in detail


def test_a_refused_name_does_not_say_what_it_resolved_to() -> None:
    detail = refuse_addresses(read("http://internal.example/"), [ip_address("10.1.2.3")], CLOSED, "acme")
    assert detail is not None
    assert "internal.example" in detail
    assert "egress.allow" in detail
    assert "10.1.2.3" not in detail
    assert "private" not in detail


def test_one_forbidden_address_among_public_ones_refuses_the_name() -> None:
    answers = [ip_address("8.8.8.8"), ip_address("10.1.2.3"), ip_address("2606:4700::1111")]
    assert refuse_addresses(read("http://mixed.example/"), answers, CLOSED, "acme") is not None
    assert refuse_addresses(read("http://public.example/"), answers[::2], CLOSED, "acme") is None


def test_our_own_address_is_refused_without_promising_a_setting() -> None:
    own = AddressPolicy(own=[("127.0.0.1", 8080)])
    detail = refuse_literal(read("http://127.0.0.1:8080/"), own, "acme")
    assert detail is not None
    assert "egress.allow" not in detail
