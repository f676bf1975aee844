"""How one connection lives and ends: reuse, pipelining, bodies, slow and silent clients, bugs."""

from __future__ import annotations

import json

import pytest
import trio
from server_shell import GET, Shell, hello, respond, serving

from daemon.front_end import connection

HALF_BODY = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345"


async def test_a_connection_serves_many_requests() -> None:
    async with serving(hello) as shell, shell.client() as client:
        for size in (0, 1, 200_000):
            head = f"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode()
            answer = await client.get(head + b"x" * size)
            assert answer.body == f"POST /p main {size}".encode()
            assert "connection" not in answer.headers
        assert shell.server.statistics().open["main"] == 1


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with serving(hello) as shell, shell.client() as client:
        requests = [f"POST /{n} HTTP/1.1\r\nHost: x\r\nContent-Length: {n}\r\n\r\n{'x' * n}" for n in range(20)]
        await client.send("".join(requests).encode())
        for n in range(20):
            assert (await client.answer()).body == f"POST /{n} main {n}".encode()


async def test_a_chunked_body_arrives_whole() -> None:
    async with serving(hello) as shell, shell.client() as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        await client.send(b"2\r\nde\r\n0\r\n\r\n")
        assert (await client.answer()).body == b"POST / main 5"
        assert (await client.get()).status == 200


@pytest.mark.parametrize("request_", [GET[:-2] + b"Connection: close\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"])
async def test_the_server_closes_when_the_client_asks_for_it(request_: bytes) -> None:
    async with serving(hello) as shell, shell.client() as client:
        answer = await client.get(request_)
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await client.closed()


async def test_what_follows_connection_close_is_not_served() -> None:
    async with serving(hello) as shell, shell.client() as client:
        assert (await client.get(GET[:-2] + b"Connection: close\r\n\r\n" + GET)).status == 200
        assert await client.closed()


async def test_responses_carry_a_date_and_no_server() -> None:
    async with serving(hello) as shell, shell.client() as client:
        answer = await client.get()
        assert "server" not in answer.headers
        assert answer.headers["date"].endswith("GMT")


async def test_head_gets_the_length_and_no_body() -> None:
    async with serving(hello) as shell, shell.client() as client:
        await client.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await client.answer(head=True)).headers["content-length"] == "13"
        assert (await client.get()).status == 200


async def test_a_client_that_closes_only_its_own_side_still_gets_its_answer() -> None:
    handling, go_on = trio.Event(), trio.Event()

    async def app(scope, receive, send) -> None:
        handling.set()
        await go_on.wait()
        await hello(scope, receive, send)

    async with serving(app) as shell, shell.client() as client:
        await client.send(GET)
        await client.stream.send_eof()
        await handling.wait()
        go_on.set()
        assert (await client.answer()).status == 200
        assert await client.closed()


async def test_a_client_that_leaves_does_not_cancel_a_handler_that_works() -> None:
    handling, go_on, done = trio.Event(), trio.Event(), trio.Event()

    async def app(scope, receive, send) -> None:
        handling.set()
        await go_on.wait()
        await respond(send, 200, b"x" * 1_000_000)
        done.set()

    async with serving(app) as shell:
        async with shell.client() as client:
            await client.send(GET)
            await handling.wait()
        go_on.set()
        await done.wait()
        await shell.until_open(0)


async def test_a_handler_that_waits_for_a_body_ends_when_the_client_leaves() -> None:
    ended: list[str] = []
    handling = trio.Event()

    async def app(scope, receive, send) -> None:
        handling.set()
        try:
            await hello(scope, receive, send)
        except trio.Cancelled:
            ended.append("cancelled")
            raise

    async with serving(app) as shell:
        async with shell.client() as client:
            await client.send(HALF_BODY)
            await handling.wait()
        await shell.until_open(0)
        assert ended == ["cancelled"]


async def test_half_a_body_gets_408_and_is_closed() -> None:
    async with serving(hello, request_timeout=0.1) as shell, shell.client() as client:
        answer = await client.get(HALF_BODY)
        assert (answer.status, json.loads(answer.body)["type"]) == (408, "/problems/invalid")
        assert "body" in json.loads(answer.body)["detail"]
        assert await client.closed()
    assert shell.refusals == []  # the application saw it, and counts it


async def test_a_dripping_body_has_one_deadline() -> None:
    async with serving(hello, request_timeout=0.2) as shell, shell.client() as client:
        await client.send(HALF_BODY[:-5])

        async def drip() -> None:
            while True:
                await client.send(b"x")
                with trio.move_on_after(0.05):
                    await shell.stopped.wait()

        shell.nursery.start_soon(drip)
        assert (await client.answer()).status == 408


async def test_no_reading_deadline_runs_while_a_handler_works() -> None:
    async def app(scope, receive, send) -> None:
        with trio.move_on_after(0.3):
            await trio.sleep_forever()
        await hello(scope, receive, send)

    async with serving(app, request_timeout=0.05) as shell, shell.client() as client:
        assert (await client.get(HALF_BODY + b"12345")).status == 200
        assert (await client.get()).status == 200


async def test_a_head_that_drips_gets_408_and_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_TIMEOUT", 0.2)
    async with serving(hello) as shell, shell.client() as client:
        assert (await client.get()).status == 200
        await client.send(b"GET / HT")

        async def drip() -> None:
            while True:
                await client.send(b"x")
                with trio.move_on_after(0.05):
                    await shell.stopped.wait()

        shell.nursery.start_soon(drip)
        assert (await client.answer()).status == 408
    assert shell.refusals == [408]


async def test_a_client_that_says_nothing_is_closed_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_TIMEOUT", 0.1)
    async with serving(hello) as shell, shell.client() as client:
        assert await client.closed()


async def test_an_idle_connection_outlasts_the_head_timeout_but_not_the_keep_alive(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "HEAD_TIMEOUT", 0.05)
    monkeypatch.setattr(connection, "KEEP_ALIVE", 0.3)
    async with serving(hello) as shell, shell.client() as client:
        assert (await client.get()).status == 200
        with trio.move_on_after(0.15) as patience:
            await client.closed()
        assert patience.cancelled_caught
        assert (await client.get()).status == 200
        assert await client.closed()


async def test_a_body_is_asked_for_only_when_the_handler_wants_it() -> None:
    async def app(scope, receive, send) -> None:
        await (respond(send, 401, b"no") if scope["path"] == "/no" else hello(scope, receive, send))

    head = "POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    async with serving(app) as shell, shell.client() as client:
        assert (await client.get(head.format("/yes").encode())).status == 100
        assert (await client.get(b"abc")).body == b"POST /yes main 3"
        answer = await client.get(head.format("/no").encode())
        assert (answer.status, answer.headers["connection"]) == (401, "close")


async def test_an_answer_before_a_large_body_was_read_reaches_a_client_that_sends_it_all() -> None:
    async def app(scope, receive, send) -> None:
        await respond(send, 413, b"too large")

    async with serving(app) as shell, shell.client() as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n" + b"x" * 20_000_000)
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        await client.stream.send_eof()
        assert await client.closed()


async def test_a_body_nobody_reads_stays_in_the_socket() -> None:
    async def app(scope, receive, send) -> None:
        await trio.sleep_forever()

    async with serving(app) as shell, shell.client() as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n\r\n")
        with trio.move_on_after(0.5) as patience:
            await client.send(b"x" * 50_000_000)
        assert patience.cancelled_caught


async def test_a_client_that_never_reads_is_given_up() -> None:
    done = trio.Event()

    async def app(scope, receive, send) -> None:
        await respond(send, 200, b"x" * 30_000_000)
        done.set()

    async with serving(app, request_timeout=0.2) as shell, shell.client(receive_buffer=4096) as client:
        await client.send(GET)
        await done.wait()
        await shell.until_open(0)


async def test_a_client_that_reads_slowly_gets_everything() -> None:
    async def app(scope, receive, send) -> None:
        await respond(send, 200, b"x" * 3_000_000)

    async with serving(app, request_timeout=0.25) as shell, shell.client(receive_buffer=65536) as client:
        await client.send(GET)
        received = 0
        started = trio.current_time()
        while received < 3_000_000:
            received += len(await client.stream.receive_some(65536))
            with trio.move_on_after(0.01):
                await shell.stopped.wait()
        assert trio.current_time() - started > 0.25


async def crash_before(scope, receive, send) -> None:
    raise LookupError("a bug")


async def crash_in_a_group(scope, receive, send) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)
        raise LookupError("a bug")


async def return_nothing(scope, receive, send) -> None:
    pass


async def bad_header(scope, receive, send) -> None:
    await respond(send, 200, b"", (b"a", b"b\r\nc: d"))


@pytest.mark.parametrize("bug", [crash_before, crash_in_a_group, return_nothing, bad_header])
async def test_a_bug_costs_one_connection_and_is_logged(bug: object, capsys: pytest.CaptureFixture[str]) -> None:
    async with serving(bug) as shell:
        for _ in range(2):
            async with shell.client() as client:
                answer = await client.get()
                assert (answer.status, json.loads(answer.body)["type"]) == (500, "/problems/internal")
                assert await client.closed()
    assert capsys.readouterr().err.count("http.failed") == 2


async def test_a_bug_in_the_middle_of_a_response_cuts_it_short() -> None:
    async def app(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]})
        await send({"type": "http.response.body", "body": b"12345", "more_body": True})
        raise LookupError("a bug")

    async with serving(app) as shell, shell.client() as client:
        await client.send(GET)
        with pytest.raises(AssertionError, match="closed after b'12345'"):
            await client.answer()


async def test_statistics_count_open_and_resting_connections() -> None:
    async with serving(hello) as shell:

        def counts(shell: Shell) -> tuple[int, int]:
            found = shell.server.statistics()
            return found.open["main"], found.resting["main"]

        assert counts(shell) == (0, 0)
        async with shell.client() as client:
            await client.get()
            await shell.until_resting(1)
            assert counts(shell) == (1, 1)
        await shell.until_open(0)
        assert counts(shell) == (0, 0)
