"""Reading responses out of bytes: what is accepted, what is refused, and when a connection may be used again."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.egress.response import KEPT_HEAD, KEPT_HEADERS, MAX_HEAD, MAX_INTERIM, Malformed, ResponseReader

OK = b"HTTP/1.1 200 OK\r\n"


def read(data: bytes, keep: int = 4096, *, closed: bool = False) -> ResponseReader:
    reader = ResponseReader()
    reader.begin(keep)
    reader.feed(data)
    if closed:
        reader.end()
    return reader


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (OK + b"Content-Length: 2\r\n\r\nhi", b"hi"),
        (OK + b"Content-Length: 0\r\n\r\n", b""),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", b"hi"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n2;name=value\r\nhi\r\n0\r\nX-Trailer: 1\r\n\r\n", b"hi"),
        (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", b"hi"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b""),
        (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
        (b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nhi", b"hi"),
        (b"HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nhi", b"hi"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 16 + OK + b"Content-Length: 2\r\n\r\nhi", b"hi"),
        (b"HTTP/1.1 100 Continue\r\nConnection: close\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nhi", b"hi"),
        (OK + b"Upgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
    ],
)
def test_a_whole_response_leaves_the_connection_reusable(data: bytes, body: bytes) -> None:
    reader = read(data)
    assert reader.complete
    assert reader.reusable
    assert reader.kept == body


@pytest.mark.parametrize(
    "data",
    [
        OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi",
        OK + b"Connection: keep-alive, close\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        OK + b"Content-Length: 2\r\n\r\nhiX",
        OK + b"Content-Length: 2\r\n\r\nhiHTTP/1.1 500 Forged\r\nContent-Length: 3\r\n\r\nbad",
        OK + b"Content-Length: 2\r\n\r\nhi" + OK + b"Content-Length: 3\r\n\r\nbad",
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\nX",
        OK + b"X-Folded: one\r\n two\r\nContent-Length: 2\r\n\r\nhi",
    ],
)
def test_a_whole_response_that_leaves_the_connection_unfit_still_counts(data: bytes) -> None:
    reader = read(data)
    assert (reader.status, reader.kept, reader.complete) == (200, b"hi", True)
    assert not reader.reusable


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"Transfer-Encoding: gzip\r\n",
        b"Transfer-Encoding: chunked, gzip\r\n",
        b"Transfer-Encoding: xchunked\r\n",
    ],
)
def test_a_body_of_no_declared_length_ends_with_the_connection(data: bytes) -> None:
    assert not read(OK + data + b"\r\nhi").complete
    reader = read(OK + data + b"\r\nhi", closed=True)
    assert (reader.kept, reader.complete, reader.reusable) == (b"hi", True, False)


@pytest.mark.parametrize(
    "data",
    [
        b"Content-Length: 5\r\n\r\nhi",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhi",
        b"Transfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_a_body_cut_short_is_not_complete(data: bytes) -> None:
    reader = read(OK + data, closed=True)
    assert (reader.status, reader.complete, reader.reusable) == (200, False, False)


@pytest.mark.parametrize(
    "chunk", [b"Z\r\nhi", b"-2\r\nhi\r\n", b"ffffffffffffffffff\r\nhi", b"2\nhi\n0\n\n", b"2\r\nhiXX0\r\n\r\n"]
)
def test_rubbish_in_a_body_does_not_change_what_the_status_line_said(chunk: bytes) -> None:
    reader = read(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    reader.feed(chunk)
    assert (reader.status, reader.complete, reader.broken, reader.reusable) == (200, False, True, False)
    assert read(OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunk).broken


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
        b"<html>not http</html>",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/0.9 200 OK\r\n\r\n",
        b"HTTP/1.2 200 OK\r\n\r\n",
        b"ICE/1.0 200 OK\r\n\r\n",
        b"RTSP/1.0 200 OK\r\n\r\n",
        b"http/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 000 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1 200x OK\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        OK + b"Content-Length: -2\r\n\r\n",
        OK + b"Content-Length: +2\r\n\r\nhi",
        OK + b"Content-Length: 0x2\r\n\r\nhi",
        OK + b"Content-Length: 1 2\r\n\r\nhi",
        OK + b"Content-Length:\r\n\r\n",
        OK + b"Content-Length: 2, 2\r\n\r\nhi",
        OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
        OK + b"Content-Length: 99999999999999999999999999\r\n\r\n",
        OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
        OK + b"Content-Length : 2\r\n\r\nhi",
        OK + b" Content-Length: 2\r\n\r\nhi",
        OK + b": 2\r\n\r\n",
        OK + b"no colon\r\n\r\n",
        OK + b"X-A: b\x00c\r\n\r\n",
        OK + b"X-A: b\rX-B: c\r\n\r\n",
        OK + b"X-A: b\nX-B: c\r\n\r\n",
        OK + b"X-A: b\r\n c\x00d\r\nContent-Length: 0\r\n\r\n",
        OK + b"X-A: b\r\n c\r\nContent-Length : 0\r\n\r\n",
        OK + b"X-A: b\r\n c\r\nContent-Length: -2\r\n\r\n",
        OK + b"X-A: b\r\n c\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi",
        OK + b"X-A: b\r\n c\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"X-A: b\r\n c\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" * (MAX_INTERIM + 1) + OK + b"Content-Length: 0\r\n\r\n",
    ],
)
def test_what_is_no_acceptable_head_is_refused_with_a_reason(data: bytes) -> None:
    with pytest.raises(Malformed, match=r"\w+"):
        read(data)


@pytest.mark.parametrize("value", [b"one\r\n two", b"one\r\n\ttwo", b"one\r\n   two"])
def test_a_folded_header_is_unfolded_as_rfc_9112_asks_of_a_client(value: bytes) -> None:
    reader = read(b"HTTP/1.1 103 E\r\n\r\n" + OK + b"X-A: " + value + b"\r\nContent-Length: 2\r\n\r\nhi")
    assert reader.headers[0][1].split() == [b"one", b"two"]
    assert b"\n" not in reader.headers[0][1]


def test_headers_of_interim_responses_and_trailers_are_left_out() -> None:
    data = (
        b"HTTP/1.1 103 E\r\nLink: x\r\n\r\n" + OK + b"Transfer-Encoding: chunked\r\nX-A: 1\r\n\r\n0\r\nX-T: 2\r\n\r\n"
    )
    assert read(data).headers == [(b"Transfer-Encoding", b"chunked"), (b"X-A", b"1")]


def test_a_head_of_64_kib_is_read_and_a_longer_one_is_not() -> None:
    def head(size: int) -> bytes:
        start = OK + b"Content-Length: 0\r\nX-A: "
        return start + b"a" * (size - len(start) - 4) + b"\r\n\r\n"

    assert read(head(MAX_HEAD)).status == 200
    with pytest.raises(Malformed, match="65536"):
        read(head(MAX_HEAD + 100))


@pytest.mark.parametrize(
    "endless", [b"X-A: " + b"a" * MAX_HEAD, b"X-A: b\r\n" * MAX_HEAD, b"HTTP/1.1 200 " + b"a" * MAX_HEAD]
)
def test_a_head_that_never_ends_is_given_up_at_64_kib(endless: bytes) -> None:
    reader = ResponseReader()
    reader.begin(10)
    data = endless if endless.startswith(b"HTTP") else OK + endless
    for start in range(0, MAX_HEAD - 1000, 1000):
        reader.feed(data[start : start + 1000])
    with pytest.raises(Malformed, match="65536"):
        reader.feed(data[MAX_HEAD - 1000 : MAX_HEAD + 1000])


@pytest.mark.parametrize("header", [b"a:\r\n", b"a: " + b"x" * 1000 + b"\r\n"], ids=["tiny", "large"])
def test_of_a_huge_head_only_a_part_is_kept_and_its_connection_is_not_used_again(header: bytes) -> None:
    reader = ResponseReader()
    reader.begin(100)
    many = header * (60_000 // len(header))
    reader.feed(b"HTTP/1.1 204 No Content\r\n" + many + b"\r\n")
    assert reader.status == 204
    assert reader.complete
    assert not reader.reusable
    assert len(reader.headers) <= KEPT_HEADERS
    assert sum(len(name) + len(value) for name, value in reader.headers) <= KEPT_HEAD
    assert many.startswith(b"".join(b"%b: %b\r\n" % header for header in reader.headers).replace(b": \r", b":\r"))


def test_only_the_first_bytes_of_a_body_are_kept_and_all_are_counted() -> None:
    reader = read(OK + b"Content-Length: 10\r\n\r\n0123456789", keep=4)
    assert (reader.kept, reader.seen, reader.complete) == (b"0123", 10, True)
    assert read(OK + b"Content-Length: 10\r\n\r\n0123456789", keep=0).kept == b""


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (b"timeout=5", 5),
        (b"timeout=5, max=1000", 5),
        (b"max=3,Timeout = 7", 7),
        (b'timeout="9"', 9),
        (b"max=3", None),
        (b"notimeout=5", None),
        (b"timeout=x", None),
        (b"timeout=", None),
    ],
)
def test_the_keep_alive_hint_is_read(value: bytes, hint: int | None) -> None:
    assert read(OK + b"Keep-Alive: " + value + b"\r\nContent-Length: 0\r\n\r\n").hint == hint


RESPONSES = st.sampled_from(
    [
        OK + b"Content-Length: 12\r\nX-A: b\r\n\r\nhello, world",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n7\r\n, world\r\n0\r\nX-T: 1\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 No\r\nKeep-Alive: timeout=3\r\nContent-Length: 2\r\n\r\nno",
        OK + b"X-A: one\r\n two\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 204 No Content\r\n\r\n",
    ]
)


@given(data=RESPONSES, cuts=st.lists(st.integers(0, 120)))
def test_where_the_bytes_are_cut_changes_nothing(data: bytes, cuts: list[int]) -> None:
    whole = read(data)
    reader = ResponseReader()
    reader.begin(4096)
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    for start, end in pairwise(edges):
        reader.feed(data[start:end])
    for name in ("status", "headers", "kept", "seen", "complete", "reusable", "hint"):
        assert getattr(reader, name) == getattr(whole, name), name


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_read_or_refused(data: bytes, after_a_head: bool) -> None:
    reader = ResponseReader()
    reader.begin(10)
    try:
        reader.feed(OK + data if after_a_head else data)
        reader.feed(data)
        reader.end()
    except Malformed:
        assert not reader.status


@given(st.lists(RESPONSES.filter(lambda each: b"two" not in each), min_size=2, max_size=5))
def test_one_reader_reads_response_after_response(responses: list[bytes]) -> None:
    reader = ResponseReader()
    for data in responses:
        reader.begin(4096)
        reader.feed(data)
        fresh = read(data)
        assert (reader.status, reader.headers, reader.kept, reader.reusable) == (
            fresh.status,
            fresh.headers,
            fresh.kept,
            True,
        )
