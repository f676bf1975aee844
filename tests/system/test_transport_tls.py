"""TLS: verified by name, each failure with a reason a person can act on."""

from __future__ import annotations

import ssl
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import trio
import trustme
from wire import (
    OK,
    answering,
    fail_once,
    failing,
    post,
    post_once,
    receiver,
    request_from,
    reset,
    saying,
    transport,
    until_closed,
)

from daemon.egress import EgressError, LocalFault
from daemon.egress.tls import client_context, harden

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from daemon.egress.resolver import SockAddr

AUTHORITY = trustme.CA()


class Loopback:
    """Every name is this machine."""

    async def resolve(self, host: str, port: int, tenant: str) -> list[SockAddr]:
        await trio.lowlevel.checkpoint()
        return [("127.0.0.1", port)]


def trusting(*authorities: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for authority in authorities:
        authority.configure_trust(context)
    return harden(context)


@asynccontextmanager
async def tls_receiver(
    handler: Callable[[trio.abc.Stream], Awaitable[None]],
    certificate: trustme.LeafCert,
    configure: Callable[[ssl.SSLContext], None] = lambda context: None,
) -> AsyncIterator[int]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    configure(context)

    async def handle(stream: trio.abc.Stream) -> None:
        await handler(trio.SSLStream(stream, context, server_side=True, https_compatible=True))

    async with receiver(handle) as port:
        yield port


def only(version: ssl.TLSVersion) -> Callable[[ssl.SSLContext], None]:
    def configure(context: ssl.SSLContext) -> None:
        context.minimum_version = context.maximum_version = version

    return configure


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_verified_receiver_is_posted_to_and_its_connection_used_again(version: ssl.TLSVersion) -> None:
    certificate = AUTHORITY.issue_cert("hooks.example")
    async with (
        tls_receiver(answering(), certificate, only(version)) as port,
        transport(tls=trusting(AUTHORITY), resolver=Loopback()) as egress,
    ):
        uses = []
        for _ in range(4):
            response, exchange = await post(egress, f"https://hooks.example:{port}/")
            assert (response.status_code, response.content) == (200, b"ok")
            uses.append((exchange.reused, exchange.tls is not None))
    assert uses == [(False, True), (True, False), (True, False), (True, False)]


async def test_an_address_is_verified_like_a_name() -> None:
    async with tls_receiver(answering(), AUTHORITY.issue_cert("127.0.0.1")) as port:
        response, _ = await post_once(f"https://127.0.0.1:{port}/", tls=trusting(AUTHORITY))
    assert response.status_code == 200


async def test_a_final_dot_does_not_change_the_name_that_is_verified() -> None:
    certificate = AUTHORITY.issue_cert("hooks.example")
    async with (
        tls_receiver(answering(), certificate) as port,
        transport(tls=trusting(AUTHORITY), resolver=Loopback()) as egress,
    ):
        response, _ = await post(egress, f"https://hooks.example.:{port}/")
    assert response.status_code == 200


def self_signed() -> trustme.LeafCert:
    # An authority's own certificate, presented as a receiver's.
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1")
    leaf.cert_chain_pems[:] = [authority.cert_pem]
    leaf.private_key_pem = authority.private_key_pem
    leaf.private_key_and_cert_chain_pem = trustme.Blob(authority.private_key_pem.bytes() + authority.cert_pem.bytes())
    return leaf


YESTERDAY = datetime.now(UTC) - timedelta(days=1)
TOMORROW = datetime.now(UTC) + timedelta(days=1)


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        (AUTHORITY.issue_cert("127.0.0.1", not_after=YESTERDAY), "it has expired"),
        (AUTHORITY.issue_cert("127.0.0.1", not_before=TOMORROW), "it is not valid yet"),
        (AUTHORITY.issue_cert("127.0.0.2", "other.example"), "it is for another address than 127.0.0.1"),
        (trustme.CA().issue_cert("127.0.0.1"), "it was issued by an authority that is not trusted"),
        (self_signed(), "it is self-signed"),
    ],
    ids=["expired", "not-yet-valid", "wrong-address", "unknown-authority", "self-signed"],
)
async def test_a_bad_certificate_is_refused_with_its_own_reason(certificate: trustme.LeafCert, reason: str) -> None:
    async with tls_receiver(answering(), certificate) as port:
        error, exchange = await fail_once(f"https://127.0.0.1:{port}/", tls=trusting(AUTHORITY))
    assert isinstance(error, EgressError)
    assert error.code == "tls_failed"
    assert reason in error.detail
    assert not exchange.wrote
    assert exchange.tls is None
    assert exchange.connect is not None


async def test_a_certificate_for_another_name_is_refused_by_name() -> None:
    certificate = AUTHORITY.issue_cert("other.example")
    async with (
        tls_receiver(answering(), certificate) as port,
        transport(tls=trusting(AUTHORITY), resolver=Loopback()) as egress,
    ):
        error, _ = await failing(egress, f"https://hooks.example:{port}/")
    assert isinstance(error, EgressError)
    assert error.code == "tls_failed"
    assert "it is for another name than hooks.example" in error.detail


async def test_the_contexts_default_trusts_no_private_authority() -> None:
    async with tls_receiver(answering(), AUTHORITY.issue_cert("127.0.0.1")) as port:
        error, _ = await fail_once(f"https://127.0.0.1:{port}/", tls=client_context())
    assert error.detail.startswith("The certificate of 127.0.0.1 cannot be trusted: it was issued by an authority")


async def test_an_authority_can_be_added_as_openssl_documents_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    AUTHORITY.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    async with tls_receiver(answering(), AUTHORITY.issue_cert("127.0.0.1")) as port:
        response, _ = await post_once(f"https://127.0.0.1:{port}/", tls=client_context())
    assert response.status_code == 200


async def test_plain_http_on_the_port_is_told_as_such() -> None:
    async def handle(stream: trio.abc.Stream) -> None:
        await stream.receive_some(1)
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    async with receiver(handle) as port:
        error, _ = await fail_once(f"https://127.0.0.1:{port}/", tls=trusting(AUTHORITY))
    assert isinstance(error, EgressError)
    assert (error.code, error.detail) == ("tls_failed", "127.0.0.1 does not speak TLS on this port.")


async def test_an_old_protocol_version_is_refused() -> None:
    async with tls_receiver(answering(), AUTHORITY.issue_cert("127.0.0.1"), only(ssl.TLSVersion.TLSv1_2)) as port:
        context = trusting(AUTHORITY)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        error, _ = await fail_once(f"https://127.0.0.1:{port}/", tls=context)
    assert isinstance(error, EgressError)
    assert error.code == "tls_failed"


@pytest.mark.parametrize("goodbye", ["fin", "rst"])
async def test_a_close_during_the_handshake_is_tls_failed(goodbye: str) -> None:
    async def handle(stream: trio.SocketStream) -> None:
        await stream.receive_some(10)
        if goodbye == "rst":
            reset(stream)

    async with receiver(handle) as port:
        error, exchange = await fail_once(f"https://127.0.0.1:{port}/", tls=trusting(AUTHORITY))
    assert isinstance(error, EgressError)
    assert error.code == "tls_failed"
    assert "closed the connection" in error.detail
    assert not exchange.wrote


async def test_a_reset_before_the_handshake_is_tls_failed() -> None:
    async def handle(stream: trio.SocketStream) -> None:
        reset(stream)

    async with receiver(handle) as port:
        for _ in range(20):
            error, _ = await fail_once(f"https://127.0.0.1:{port}/", tls=trusting(AUTHORITY))
            assert not isinstance(error, LocalFault)
            assert error.code == "tls_failed"


async def test_a_handshake_that_never_ends_has_the_time_of_connecting() -> None:
    async with (
        receiver(until_closed) as port,
        transport(tls=trusting(AUTHORITY), connect_timeout=0.1) as egress,
    ):
        with trio.fail_after(1):
            error, _ = await failing(egress, f"https://127.0.0.1:{port}/")
    assert isinstance(error, EgressError)
    assert error.code == "tls_failed"


async def test_a_handshake_that_drips_has_no_more_time_than_one_that_never_ends() -> None:
    async with tls_receiver(answering(), AUTHORITY.issue_cert("127.0.0.1")) as behind:

        async def drip(stream: trio.abc.Stream) -> None:
            async with await trio.open_tcp_stream("127.0.0.1", behind) as onward:
                await onward.send_all(await stream.receive_some(65536))
                while data := await onward.receive_some(1):
                    await stream.send_all(data)
                    await trio.sleep(0.02)

        async with receiver(drip) as port, transport(tls=trusting(AUTHORITY), connect_timeout=0.3) as egress:
            with trio.fail_after(1):
                error, exchange = await failing(egress, f"https://127.0.0.1:{port}/")
    assert isinstance(error, EgressError)
    assert error.code == "tls_failed"
    assert "in time" in error.detail
    assert exchange.total is not None
    assert exchange.total >= 300


async def slowly(stream: trio.abc.Stream, onto: trio.abc.Stream) -> None:
    while data := await stream.receive_some(65536):
        for place in range(0, len(data), 200):
            await onto.send_all(data[place : place + 200])
            await trio.lowlevel.checkpoint()


async def test_a_slow_handshake_in_small_pieces_succeeds() -> None:
    async with tls_receiver(answering(), AUTHORITY.issue_cert("127.0.0.1")) as behind:

        async def relay(stream: trio.abc.Stream) -> None:
            async with await trio.open_tcp_stream("127.0.0.1", behind) as onward, trio.open_nursery() as nursery:
                nursery.start_soon(slowly, stream, onward)
                await slowly(onward, stream)
                nursery.cancel_scope.cancel()

        async with receiver(relay) as port:
            response, _ = await post_once(f"https://127.0.0.1:{port}/", tls=trusting(AUTHORITY))
    assert response.status_code == 200


async def test_a_close_without_notify_cuts_a_body_and_loses_a_head() -> None:
    async def body(stream: trio.SSLStream[trio.SocketStream]) -> None:
        await request_from(stream)
        await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\nhi")
        await stream.transport_stream.aclose()

    async def head(stream: trio.SSLStream[trio.SocketStream]) -> None:
        await request_from(stream)
        await stream.transport_stream.aclose()

    certificate = AUTHORITY.issue_cert("127.0.0.1")
    async with tls_receiver(body, certificate) as port:
        response, exchange = await post_once(f"https://127.0.0.1:{port}/", tls=trusting(AUTHORITY))
        assert (response.status_code, response.content, exchange.truncated) == (200, b"hi", True)
    async with tls_receiver(head, certificate) as port:
        error, _ = await fail_once(f"https://127.0.0.1:{port}/", tls=trusting(AUTHORITY))
        assert isinstance(error, EgressError)
        assert error.code == "connection_lost"
        assert error.detail == "The receiver closed the connection without answering."


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_close_notify_ends_a_body_of_no_declared_length(version: ssl.TLSVersion) -> None:
    async def body(stream: trio.SSLStream[trio.SocketStream]) -> None:
        await request_from(stream)
        await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\nhi")
        await stream.unwrap()

    async with tls_receiver(body, AUTHORITY.issue_cert("127.0.0.1"), only(version)) as port:
        response, exchange = await post_once(f"https://127.0.0.1:{port}/", tls=trusting(AUTHORITY))
    assert (response.status_code, response.content, exchange.truncated) == (200, b"hi", False)


async def test_a_body_of_declared_length_is_whole_without_close_notify() -> None:
    async with tls_receiver(
        saying(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")), AUTHORITY.issue_cert("127.0.0.1")
    ) as port:
        response, exchange = await post_once(f"https://127.0.0.1:{port}/", tls=trusting(AUTHORITY))
    assert (response.status_code, response.content, exchange.truncated) == (200, b"ok", False)


async def notifying(stream: trio.SSLStream[trio.SocketStream]) -> None:
    await saying(OK)(stream)
    await stream.unwrap()


async def talking(stream: trio.SSLStream[trio.SocketStream]) -> None:
    await saying(OK)(stream)
    await stream.send_all(b"HTTP/1.1 500 Forged\r\nContent-Length: 0\r\n\r\n")
    await until_closed(stream)


@pytest.mark.parametrize("handler", [saying(OK), notifying, talking], ids=["close", "close-notify", "garbage"])
async def test_a_kept_connection_that_is_not_quiet_is_left(
    handler: Callable[[trio.abc.Stream], Awaitable[None]],
) -> None:
    certificate = AUTHORITY.issue_cert("127.0.0.1")
    async with tls_receiver(handler, certificate) as port, transport(tls=trusting(AUTHORITY)) as egress:
        for _ in range(3):
            response, exchange = await post(egress, f"https://127.0.0.1:{port}/")
            assert response.status_code == 200
            assert not exchange.reused
            await trio.testing.wait_all_tasks_blocked()


async def test_a_large_body_goes_over_tls_and_an_early_answer_decides() -> None:
    sizes: list[int] = []

    async def whole(stream: trio.abc.Stream) -> None:
        sizes.append(len(await request_from(stream) or b""))
        await stream.send_all(OK)

    async def early(stream: trio.abc.Stream) -> None:
        await stream.receive_some(1000)
        await stream.send_all(b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n")
        await trio.sleep_forever()

    certificate = AUTHORITY.issue_cert("127.0.0.1")
    body = b"a" * 4_000_000
    async with tls_receiver(whole, certificate) as port:
        response, _ = await post_once(f"https://127.0.0.1:{port}/", body, tls=trusting(AUTHORITY))
        assert response.status_code == 200
    assert sizes[0] > len(body)
    async with tls_receiver(early, certificate) as port:
        with trio.fail_after(2):
            response, _ = await post_once(f"https://127.0.0.1:{port}/", body * 8, tls=trusting(AUTHORITY))
        assert response.status_code == 413
