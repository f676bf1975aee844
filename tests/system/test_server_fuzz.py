"""No bytes at all make the front end fail: pieces of HTTP in any order get an answer that is not 500, or the end."""

from __future__ import annotations

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from server_shell import GET, hello, serving

PIECES = st.sampled_from(
    [
        *(
            GET,
            b"GET ",
            b"POST ",
            b"PRI * HTTP/2.0",
            b"/",
            b"/%ff?\xff",
            b" HTTP/1.1",
            b" HTTP/1.0",
            b"\r\n",
            b"\n",
            b"\r",
        ),
        *(b"Host: x\r\n", b"Content-Length: 3\r\n", b"Content-Length: -1\r\n", b"Transfer-Encoding: chunked\r\n"),
        *(b"Connection: close\r\n", b"Connection: upgrade\r\n", b"Upgrade: websocket\r\n", b"Expect: 100-continue\r\n"),
        *(b"3\r\nabc\r\n", b"0\r\n\r\n", b"abc", b"\0", b" ", b":", b"ffffffffffffffff\r\n", b"x" * 20_000),
    ]
)
REQUEST = st.builds(
    lambda method, extra, body: b"%s / HTTP/1.1\r\nHost: x\r\n%s\r\n%s" % (method, b"".join(extra), body),
    st.sampled_from([b"GET", b"POST", b"HEAD", b"DELETE"]),
    st.lists(PIECES, max_size=3),
    PIECES,
)
BYTES = st.lists(PIECES | REQUEST | st.binary(max_size=20), min_size=1, max_size=8)


@given(st.lists(BYTES, min_size=1, max_size=5), st.booleans())
@settings(max_examples=60)
async def test_no_bytes_are_a_bug(connections: list[list[bytes]], drains: bool) -> None:
    async with serving(hello, request_timeout=1.0) as shell:

        async def one(pieces: list[bytes]) -> None:
            async with shell.client() as client:
                received = b""
                try:
                    for piece in pieces:
                        await client.send(piece)
                    await client.stream.send_eof()
                    while data := await client.stream.receive_some():
                        received += data
                except trio.BrokenResourceError:
                    pass
                assert b"HTTP/1.1 500" not in received

        async with trio.open_nursery() as nursery:
            for pieces in connections:
                nursery.start_soon(one, pieces)
        await shell.until_open(0)
        if drains:
            shell.server.drain(trio.current_time() + 1)
            await shell.stopped.wait()
